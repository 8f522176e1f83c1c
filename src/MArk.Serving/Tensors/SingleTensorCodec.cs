using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace MArk.Serving.Tensors;

/// <summary>For a model with one input and one output of numbers: an array in, an array out, one item each. Belongs to one model and version.</summary>
/// <typeparam name="TInElement">The .NET type of the input's elements.</typeparam>
/// <typeparam name="TOutElement">The .NET type of the output's elements.</typeparam>
public sealed class SingleTensorCodec<TInElement, TOutElement> : ITensorCodec<TInElement[], TOutElement[]>
    where TInElement : unmanaged, INumberBase<TInElement>
    where TOutElement : unmanaged
{
    private readonly CodecBinding _binding = new();
    private Layout? _layout;

    /// <summary>Lets NaN and infinities through. Otherwise an input that holds one is refused.</summary>
    public bool AllowNonFinite { get; init; }

    private Layout Bound => _layout ?? throw new InvalidOperationException("The codec was not bound to a model.");

    /// <inheritdoc/>
    public void Bind(ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(signature);
        if (signature.Inputs.Length != 1 || signature.Outputs.Length != 1)
        {
            throw new ServingException($"The model has {signature.Inputs.Length} inputs and {signature.Outputs.Length} outputs; arrays fit one of each. Use NamedTensors.");
        }
        var input = signature.Inputs[0];
        Require<TInElement>(input);
        Require<TOutElement>(signature.Outputs[0]);
        if (input.ItemShape.Count(d => d < 0) > 1)
        {
            throw new ServingException($"Input {input} leaves more than one dimension open, and an array has one length. Use NamedTensors.");
        }
        _binding.Bind(signature);
        _layout = new Layout(input, signature.Outputs[0], input.ItemShape.IndexOf(-1), input.ItemShape.Where(d => d >= 0).Aggregate(1L, (a, b) => a * b));
    }

    /// <inheritdoc/>
    public void Validate(TInElement[] input)
    {
        var (declared, _, dynamicDimension, fixedPart) = Bound;
        if (input is null)
        {
            throw new InvalidInputException(declared.Name, $"it is null; the model declares {declared}.");
        }
        if (dynamicDimension < 0 ? input.Length != fixedPart : fixedPart == 0 || input.Length % fixedPart != 0)
        {
            var wanted = dynamicDimension < 0 ? $"{fixedPart} values" : $"a multiple of {fixedPart} values";
            throw new InvalidInputException(declared.Name, $"it has {input.Length} values; the model declares {declared}: {wanted}.");
        }
        if (AllowNonFinite || input.Length == 0)
        {
            return;
        }
        if (declared.ElementType == TensorElementType.BFloat16)
        {
            RequireFinite(MemoryMarshal.Cast<TInElement, ushort>(input));
        }
        else if (!TensorPrimitives.IsFiniteAll<TInElement>(input))
        {
            var index = Array.FindIndex(input, v => !TInElement.IsFinite(v));
            throw NotFinite(index, input[index]);
        }
    }

    /// <inheritdoc/>
    public void ValidateDestination(TInElement[] input, TOutElement[]? destination)
    {
        var bound = Bound;
        if (destination is null || destination.Length < bound.OutputLength)
        {
            var holds = destination is null ? "is null" : $"holds {destination.Length} values";
            throw new InvalidInputException(bound.Output.Name, $"the destination {holds}; the model declares {bound.Output}{(bound.OutputLength < 0 ? "" : $": {bound.OutputLength} values")}.");
        }
    }

    /// <inheritdoc/>
    public void GetItemShape(TInElement[] input, int inputIndex, Span<long> itemShape) =>
        itemShape[Bound.DynamicDimension] = input.Length / Bound.FixedPart;

    /// <inheritdoc/>
    public void Write(TInElement[] input, ITensorItems inputs) => input.CopyTo(inputs[0].As<TInElement>());

    /// <inheritdoc/>
    public TOutElement[] Read(ITensorItems outputs, bool hasDestination, TOutElement[]? destination)
    {
        var output = outputs[0];
        var values = output.As<TOutElement>();
        if (!hasDestination)
        {
            return values.ToArray();
        }
        if (destination is null || destination.Length < values.Length)
        {
            throw new InvalidInputException(output.Spec.Name, $"the destination holds {destination?.Length ?? 0} values, and the answer has {values.Length}.");
        }
        values.CopyTo(destination);
        return destination;
    }

    /// <inheritdoc/>
    public bool TryCreateSample([MaybeNullWhen(false)] out TInElement[] sample)
    {
        sample = new TInElement[Bound.FixedPart];
        return true;
    }

    private void RequireFinite(ReadOnlySpan<ushort> bits)
    {
        if (BFloat16Bits.IsFiniteAll(bits))
        {
            return;
        }
        var index = 0;
        while (BFloat16Bits.IsFinite(bits[index]))
        {
            index++;
        }
        throw NotFinite(index, BFloat16Bits.ToSingle(bits[index]));
    }

    private InvalidInputException NotFinite<T>(int index, T value) => new(Bound.Input.Name, $"value {index} is {value}; finite numbers are accepted.");

    private static void Require<T>(TensorSpec spec)
    {
        if (!TensorElementTypes.Fits<T>(spec.ElementType))
        {
            throw new ServingException($"The model declares {spec}; elements of .NET type {typeof(T).Name} do not fit it.");
        }
    }

    /// <param name="Input">The input.</param>
    /// <param name="Output">The output.</param>
    /// <param name="DynamicDimension">The input's dimension that varies; -1 for none.</param>
    /// <param name="FixedPart">How many elements its others make.</param>
    private sealed record Layout(TensorSpec Input, TensorSpec Output, int DynamicDimension, long FixedPart)
    {
        /// <summary>How many elements an answer has; -1 if that varies.</summary>
        public long OutputLength { get; } = Output.ItemLength;
    }
}
