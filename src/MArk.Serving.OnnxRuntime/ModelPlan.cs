using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>What the options mean for a model's tensors: which dimensions are padded, masked and cut.</summary>
internal sealed class ModelPlan
{
    public ModelPlan(ModelDeclaration model, ImmutableArray<PlannedTensor> inputs, ImmutableArray<PlannedTensor> outputs, ImmutableArray<PaddedLength> lengths)
    {
        Inputs = inputs;
        Outputs = outputs;
        Lengths = lengths;
        MaxBatchSize = model.MaxBatchSize;
        RequestInputs = [.. inputs.Where(i => !i.IsMask)];
        Requests = new ModelSignature([.. RequestInputs.Select(i => i.Spec)], [.. outputs.Select(o => o.Spec)], model.MaxBatchSize);
        HasFiniteShapes = inputs.Concat(outputs).All(t => t.HasFiniteShapes);
    }

    /// <summary>The inputs, in the model's order.</summary>
    public ImmutableArray<PlannedTensor> Inputs { get; }

    /// <summary>The outputs, in the model's order.</summary>
    public ImmutableArray<PlannedTensor> Outputs { get; }

    /// <summary>The lengths that are padded.</summary>
    public ImmutableArray<PaddedLength> Lengths { get; }

    public int MaxBatchSize { get; }

    /// <summary>The inputs that requests bring, in the model's order: all but the masks.</summary>
    public ImmutableArray<PlannedTensor> RequestInputs { get; }

    /// <summary>What requests bring and get, as a codec sees it.</summary>
    public ModelSignature Requests { get; }

    /// <summary>Whether the batch size and the buckets tell every tensor's shape, so that a batch can run in memory that was bound before.</summary>
    public bool HasFiniteShapes { get; }
}

/// <summary>A tensor of a model, and what becomes of its dimensions.</summary>
/// <param name="Spec">The tensor.</param>
/// <param name="DimensionNames">The names of its dimensions without the batch; "" for one without.</param>
/// <param name="LengthOf">For each dimension without the batch, which padded length it has; -1 for none.</param>
/// <param name="WeightOf">Which dimensions, without the batch, make a request's weight.</param>
/// <param name="IsMask">Whether the runner fills it.</param>
/// <param name="Fill">The element beyond a request's own length, as bits; for a mask the element within.</param>
internal sealed record PlannedTensor(TensorSpec Spec, ImmutableArray<string> DimensionNames, ImmutableArray<int> LengthOf, ImmutableArray<int> WeightOf, bool IsMask, ulong Fill)
{
    public bool IsFixed { get; } = Spec.IsFixed;

    public bool IsPadded { get; } = LengthOf.Any(l => l >= 0);

    /// <summary>Whether the batch size and the buckets tell its shape.</summary>
    public bool HasFiniteShapes { get; } =
        Spec.ElementType != TensorElementType.String && Spec.ItemShape.Zip(LengthOf).All(d => d.First >= 0 || d.Second >= 0);

    /// <summary>A dimension as an error names it.</summary>
    public string NameOf(int d) => DimensionNames[d].Length > 0 ? $"dimension '{DimensionNames[d]}'" : $"dimension {d + 1}";

    /// <summary>Sets a shape's padded dimensions, and leaves the others.</summary>
    public void SetLengths(Span<long> shape, ReadOnlySpan<long> lengths)
    {
        for (var d = 0; d < shape.Length; d++)
        {
            if (LengthOf[d] is >= 0 and var length)
            {
                shape[d] = lengths[length];
            }
        }
    }
}
