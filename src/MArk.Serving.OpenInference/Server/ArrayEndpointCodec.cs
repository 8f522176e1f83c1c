using System.Collections.Immutable;

namespace MArk.Serving.OpenInference;

/// <summary>For models of an array of numbers in and an array of numbers out, one item each.</summary>
/// <typeparam name="TInElement">The .NET type of the input's elements.</typeparam>
/// <typeparam name="TOutElement">The .NET type of the output's elements.</typeparam>
public sealed class ArrayEndpointCodec<TInElement, TOutElement> : IEndpointCodec<TInElement[], TOutElement[]>
    where TInElement : unmanaged
    where TOutElement : unmanaged
{
    private ImmutableArray<long> _output = [];
    private long _fixedPart = 1;

    /// <summary>The tensors that clients see, for a model that declares none: a batch function, for instance.</summary>
    public ModelSignature? Signature { get; init; }

    /// <inheritdoc/>
    public void Bind(ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(signature);
        if (signature.Inputs.Length != 1 || signature.Outputs.Length != 1)
        {
            throw new ServingException($"The model has {signature.Inputs.Length} inputs and {signature.Outputs.Length} outputs; arrays fit one of each.");
        }
        Require<TInElement>(signature.Inputs[0]);
        Require<TOutElement>(signature.Outputs[0]);
        _output = signature.Outputs[0].ItemShape;
        if (_output.Count(d => d < 0) > 1)
        {
            throw new ServingException($"Output {signature.Outputs[0]} leaves more than one dimension open, and an array has one length.");
        }
        _fixedPart = _output.Where(d => d >= 0).Aggregate(1L, (a, b) => a * b);
    }

    /// <inheritdoc/>
    public TInElement[] ReadInput(ITensorItems inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return inputs[0].As<TInElement>().ToArray();
    }

    /// <inheritdoc/>
    public void GetOutputShape(TOutElement[] output, int outputIndex, Span<long> itemShape)
    {
        ArgumentNullException.ThrowIfNull(output);
        itemShape[_output.IndexOf(-1)] = _fixedPart == 0 ? 0 : output.Length / _fixedPart;
    }

    /// <inheritdoc/>
    public void WriteOutput(TOutElement[] output, ITensorItems outputs)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(outputs);
        var target = outputs[0].As<TOutElement>();
        if (output.Length != target.Length)
        {
            throw new ServingException($"The model answered with {output.Length} values; output {outputs[0].Spec} has {target.Length} here.");
        }
        output.CopyTo(target);
    }

    private static void Require<T>(TensorSpec spec)
    {
        if (!TensorElementTypes.Fits<T>(spec.ElementType))
        {
            throw new ServingException($"The model declares {spec}; elements of .NET type {typeof(T).Name} do not fit it.");
        }
    }
}
