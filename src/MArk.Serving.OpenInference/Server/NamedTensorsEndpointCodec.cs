namespace MArk.Serving.OpenInference;

/// <summary>For models of named tensors, which need no mapping.</summary>
public sealed class NamedTensorsEndpointCodec : IEndpointCodec<NamedTensors, NamedTensors>
{
    private ModelSignature? _signature;

    private ModelSignature Signature => _signature ?? throw new InvalidOperationException("The codec was not bound to a model.");

    /// <inheritdoc/>
    public void Bind(ModelSignature signature) => _signature = signature;

    /// <inheritdoc/>
    public NamedTensors ReadInput(ITensorItems inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var request = new NamedTensors();
        for (var i = 0; i < inputs.Count; i++)
        {
            request.Add(inputs[i].Spec.Name, TensorValue.CopyOf(inputs[i]));
        }
        return request;
    }

    /// <inheritdoc/>
    public void GetOutputShape(NamedTensors output, int outputIndex, Span<long> itemShape)
    {
        ArgumentNullException.ThrowIfNull(output);
        var shape = output[Signature.Outputs[outputIndex].Name].Shape;
        for (var i = 0; i < itemShape.Length; i++)
        {
            itemShape[i] = shape[i];
        }
    }

    /// <inheritdoc/>
    public void WriteOutput(NamedTensors output, ITensorItems outputs)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(outputs);
        for (var i = 0; i < outputs.Count; i++)
        {
            var item = outputs[i];
            var value = output[item.Spec.Name];
            if (value.ElementType != item.Spec.ElementType || value.Length != Math.Max(item.Strings.Length, item.Bytes.Length / Math.Max(1, TensorElementTypes.SizeOf(item.Spec.ElementType))))
            {
                throw new ServingException($"The model answered with {value}; output {item.Spec} has the shape [{string.Join(',', item.Shape.ToArray())}] here.");
            }
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
}
