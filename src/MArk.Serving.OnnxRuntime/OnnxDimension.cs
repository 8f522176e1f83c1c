namespace MArk.Serving.OnnxRuntime;

/// <summary>A dimension of one of a model's tensors: by the name the model gives it, or by its place.</summary>
public sealed class OnnxDimension
{
    /// <summary>A dimension by its name.</summary>
    /// <param name="tensor">The input or output.</param>
    /// <param name="name">The dimension's symbolic name in the model, as <c>sequence</c>.</param>
    public OnnxDimension(string tensor, string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(tensor);
        ArgumentException.ThrowIfNullOrEmpty(name);
        Tensor = tensor;
        Name = name;
    }

    /// <summary>A dimension by its place, for a model that does not name it.</summary>
    /// <param name="tensor">The input or output.</param>
    /// <param name="index">The dimension's place as the model declares it: 0 is the batch, so that the first accepted is 1.</param>
    public OnnxDimension(string tensor, int index)
    {
        ArgumentException.ThrowIfNullOrEmpty(tensor);
        Tensor = tensor;
        Index = index;
    }

    /// <summary>The input or output.</summary>
    public string Tensor { get; }

    /// <summary>The dimension's symbolic name; <see langword="null"/> if it is meant by its place.</summary>
    public string? Name { get; }

    /// <summary>The dimension's place, where 0 is the batch; <see langword="null"/> if it is meant by its name.</summary>
    public int? Index { get; }

    /// <summary>As <c>dimension 'sequence' of 'tokens'</c>.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => Name is null ? $"dimension {Index} of '{Tensor}'" : $"dimension '{Name}' of '{Tensor}'";
}
