using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>A model's tensors as its file declares them, with the names of their dimensions.</summary>
internal sealed record ModelDeclaration(string Path, ImmutableArray<DeclaredTensor> Inputs, ImmutableArray<DeclaredTensor> Outputs, int MaxBatchSize);

/// <summary>A tensor with the names of its dimensions, without the batch; "" for one without a name.</summary>
internal sealed record DeclaredTensor(TensorSpec Spec, ImmutableArray<string> DimensionNames)
{
    public string Name => Spec.Name;

    /// <summary>As <c>tokens: Int64[batch,length]</c>; an open dimension without a name is <c>?</c>.</summary>
    public override string ToString() => $"{Name}: {Spec.ElementType}[{string.Join(',', ["batch", .. Spec.ItemShape.Select((_, d) => NameOf(d))])}]";

    private string NameOf(int d) =>
        Spec.ItemShape[d] >= 0 ? Spec.ItemShape[d].ToString(System.Globalization.CultureInfo.InvariantCulture) : DimensionNames[d] is { Length: > 0 } name ? name : "?";
}
