using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace MArk.Serving.Tensors;

/// <summary>For a model with one input and one output of numbers: an array in, an array out, one item each.</summary>
/// <typeparam name="TInElement">The .NET type of the input's elements.</typeparam>
/// <typeparam name="TOutElement">The .NET type of the output's elements.</typeparam>
public sealed class SingleTensorCodec<TInElement, TOutElement> : ITensorCodec<TInElement[], TOutElement[]>
    where TInElement : unmanaged, INumberBase<TInElement>
    where TOutElement : unmanaged
{
    private TensorSpec? _input;
    private int _dynamicDimension = -1;
    private long _fixedPart = 1;

    /// <summary>Lets NaN and infinities through. Otherwise an input that holds one is refused.</summary>
    public bool AllowNonFinite { get; init; }

    private TensorSpec Input => _input ?? throw new InvalidOperationException("The codec was not bound to a model.");

    /// <inheritdoc/>
    public void Bind(ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(signature);
        if (signature.Inputs.Length != 1 || signature.Outputs.Length != 1)
        {
            throw new ServingException($"The model has {signature.Inputs.Length} inputs and {signature.Outputs.Length} outputs; arrays fit one of each. Use NamedTensors.");
        }
        _input = signature.Inputs[0];
        Require<TInElement>(_input);
        Require<TOutElement>(signature.Outputs[0]);
        if (_input.ItemShape.Count(d => d < 0) > 1)
        {
            throw new ServingException($"Input {_input} leaves more than one dimension open, and an array has one length. Use NamedTensors.");
        }
        _dynamicDimension = _input.ItemShape.IndexOf(-1);
        _fixedPart = _input.ItemShape.Where(d => d >= 0).Aggregate(1L, (a, b) => a * b);
    }

    /// <inheritdoc/>
    public void Validate(TInElement[] input)
    {
        if (input is null)
        {
            throw new InvalidInputException(Input.Name, $"it is null; the model declares {Input}.");
        }
        if (_dynamicDimension < 0 ? input.Length != _fixedPart : _fixedPart == 0 || input.Length % _fixedPart != 0)
        {
            var wanted = _dynamicDimension < 0 ? $"{_fixedPart} values" : $"a multiple of {_fixedPart} values";
            throw new InvalidInputException(Input.Name, $"it has {input.Length} values; the model declares {Input}: {wanted}.");
        }
        if (AllowNonFinite || input.Length == 0)
        {
            return;
        }
        if (Input.ElementType == TensorElementType.BFloat16)
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
    public void GetItemShape(TInElement[] input, int inputIndex, Span<long> itemShape) =>
        itemShape[_dynamicDimension] = input.Length / _fixedPart;

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
        sample = new TInElement[_fixedPart];
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

    private InvalidInputException NotFinite<T>(int index, T value) => new(Input.Name, $"value {index} is {value}; finite numbers are accepted.");

    private static void Require<T>(TensorSpec spec)
    {
        if (!TensorElementTypes.Fits<T>(spec.ElementType))
        {
            throw new ServingException($"The model declares {spec}; elements of .NET type {typeof(T).Name} do not fit it.");
        }
    }
}
