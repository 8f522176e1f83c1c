using System.Diagnostics.CodeAnalysis;
using System.Numerics.Tensors;

namespace MArk.Serving.Tensors;

/// <summary>The general form: any number of named inputs and outputs, of any element type and shape. Belongs to one model and version.</summary>
public sealed class NamedTensorsCodec : ITensorCodec<NamedTensors, NamedTensors>
{
    private readonly CodecBinding _binding = new();

    /// <summary>Lets NaN and infinities through. Otherwise an input that holds one is refused.</summary>
    public bool AllowNonFinite { get; init; }

    private ModelSignature Signature => _binding.Signature;

    /// <inheritdoc/>
    public void Bind(ModelSignature signature) => _binding.Bind(signature);

    /// <inheritdoc/>
    public void Validate(NamedTensors input)
    {
        if (input is null)
        {
            throw new InvalidInputException("*", $"it is null; the model declares {string.Join(", ", Signature.Inputs)}.");
        }
        foreach (var (name, _) in input)
        {
            if (!Signature.Inputs.Any(spec => spec.Name == name))
            {
                throw new InvalidInputException(name, $"the model has no such input; it declares {string.Join(", ", Signature.Inputs)}.");
            }
        }
        foreach (var spec in Signature.Inputs)
        {
            if (!input.TryGetValue(spec.Name, out var value))
            {
                throw new InvalidInputException(spec.Name, $"it is missing; the model declares {spec}.");
            }
            Validate(spec, value);
        }
    }

    /// <inheritdoc/>
    public void ValidateDestination(NamedTensors input, NamedTensors? destination)
    {
        if (destination is null)
        {
            throw new InvalidInputException("*", $"the destination is null; the model declares {string.Join(", ", Signature.Outputs)}.");
        }
    }

    /// <inheritdoc/>
    public void GetItemShape(NamedTensors input, int inputIndex, Span<long> itemShape)
    {
        var shape = input[Signature.Inputs[inputIndex].Name].Shape;
        for (var i = 0; i < itemShape.Length; i++)
        {
            itemShape[i] = shape[i];
        }
    }

    /// <inheritdoc/>
    public void Write(NamedTensors input, ITensorItems inputs)
    {
        for (var i = 0; i < inputs.Count; i++)
        {
            var item = inputs[i];
            var value = input[item.Spec.Name];
            if (value.ElementType == TensorElementType.String)
            {
                value.As<string>().CopyTo(item.Strings);
            }
            else
            {
                value.AsBytes().CopyTo(item.Bytes);
            }
        }
    }

    /// <inheritdoc/>
    public NamedTensors Read(ITensorItems outputs, bool hasDestination, NamedTensors? destination)
    {
        var answer = hasDestination ? destination! : [];
        for (var i = 0; i < outputs.Count; i++)
        {
            var item = outputs[i];
            answer[item.Spec.Name] = TensorValue.CopyOf(item);
        }
        return answer;
    }

    /// <inheritdoc/>
    public bool TryCreateSample([MaybeNullWhen(false)] out NamedTensors sample)
    {
        sample = [];
        foreach (var spec in Signature.Inputs)
        {
            sample.Add(spec.Name, TensorValue.Zeros(spec.ElementType, [.. spec.ItemShape.Select(d => d < 0 ? 1 : d)]));
        }
        return true;
    }

    /// <inheritdoc/>
    public long CountCharacters(NamedTensors input, int inputIndex)
    {
        var characters = 0L;
        foreach (var text in input[Signature.Inputs[inputIndex].Name].As<string>())
        {
            characters += text.Length;
        }
        return characters;
    }

    private void Validate(TensorSpec spec, TensorValue value)
    {
        if (value is null)
        {
            throw new InvalidInputException(spec.Name, $"it is null; the model declares {spec}.");
        }
        if (value.ElementType != spec.ElementType)
        {
            throw new InvalidInputException(spec.Name, $"it is {value}; the model declares {spec}.");
        }
        var fits = value.Shape.Count == spec.ItemShape.Length;
        for (var i = 0; fits && i < spec.ItemShape.Length; i++)
        {
            fits = spec.ItemShape[i] < 0 || spec.ItemShape[i] == value.Shape[i];
        }
        if (!fits)
        {
            throw new InvalidInputException(spec.Name, $"it is {value}, without the batch; the model declares {spec}.");
        }
        var finite = AllowNonFinite || value.Length == 0 || value.ElementType switch
        {
            TensorElementType.Float32 => TensorPrimitives.IsFiniteAll(value.As<float>()),
            TensorElementType.Float64 => TensorPrimitives.IsFiniteAll(value.As<double>()),
            TensorElementType.Float16 => TensorPrimitives.IsFiniteAll(value.As<Half>()),
            TensorElementType.BFloat16 => BFloat16Bits.IsFiniteAll(value.As<ushort>()),
            _ => true,
        };
        if (!finite)
        {
            throw new InvalidInputException(spec.Name, "it holds NaN or an infinity; finite numbers are accepted.");
        }
        if (value.ElementType == TensorElementType.String && value.As<string>().IndexOf((string)null!) is >= 0 and var index)
        {
            throw new InvalidInputException(spec.Name, $"string {index} is null; an empty one is \"\".");
        }
    }
}
