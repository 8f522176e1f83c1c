namespace MArk.Serving.OnnxRuntime;

/// <summary>An input of a batch: its memory, and the shape of the item that is being written.</summary>
internal sealed class InputTensor(PlannedTensor plan)
{
    public PlannedTensor Plan { get; } = plan;

    public BatchBuffer Buffer { get; } = new(plan.Spec);

    /// <summary>An item's shape as the batch runs it.</summary>
    public long[] Shape { get; } = [.. plan.Spec.ItemShape];

    /// <summary>The written item's own shape.</summary>
    public long[] Own { get; } = [.. plan.Spec.ItemShape];

    /// <summary>Where the codec writes an item: in the item's own shape.</summary>
    public TensorItem Item(int row) => Plan.IsPadded ? Padder.Head(Buffer.Item(row), Own) : Buffer.Item(row);

    /// <summary>Pads the item that was written.</summary>
    public void Pad(int row) => Padder.Spread(Buffer.Item(row), Own, Plan.Fill);

    /// <summary>Marks what is real of an item, in a mask.</summary>
    public void Mark(int row, ReadOnlySpan<long> lengths)
    {
        Plan.SetLengths(Own, lengths);
        Padder.Mark(Buffer.Item(row), Own, Plan.Fill);
    }
}
