using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>An output of a batch: in memory of ours where its shape was known, else in ONNX Runtime's.</summary>
internal sealed class OutputTensor(PlannedTensor plan)
{
    private readonly long[] _own = new long[plan.Spec.ItemShape.Length];
    private OrtValue? _value;
    private string[]? _strings;
    private long[] _shape = [];
    private int _length;

    public PlannedTensor Plan { get; } = plan;

    public BatchBuffer Buffer { get; } = new(plan.Spec);

    /// <summary>An item's shape as the batch runs it, where that is known before.</summary>
    public long[] Shape { get; } = [.. plan.Spec.ItemShape];

    /// <summary>Reads what ONNX Runtime gave, until <see cref="Release"/>.</summary>
    /// <exception cref="InvalidOperationException">It has not the shape that the batch asks for.</exception>
    public void Open(OrtValue value, int rows, ReadOnlySpan<long> bucketLengths)
    {
        var shape = value.GetTensorTypeAndShape().Shape;
        if (shape.Length == 0 || shape[0] != rows)
        {
            throw new InvalidOperationException(
                $"Output '{Plan.Spec.Name}' came as [{string.Join(',', shape)}] for a batch of {rows}: its first dimension is not the batch.");
        }
        _shape = shape.AsSpan(1).ToArray();
        if (Plan.IsPadded)
        {
            CheckCut(bucketLengths);
        }
        _value = value;
        _strings = Plan.Spec.ElementType == TensorElementType.String ? value.GetStringTensorAsArray() : null;
        _length = 1;
        foreach (var dimension in _shape)
        {
            _length = checked(_length * (int)dimension);
        }
    }

    public void Release()
    {
        _value = null;
        _strings = null;
    }

    /// <summary>Cuts an item back to its own lengths; once an item, before it is read.</summary>
    public void Cut(int row, ReadOnlySpan<long> lengths)
    {
        var whole = Whole(row);
        whole.Shape.CopyTo(_own);
        Plan.SetLengths(_own, lengths);
        Padder.Cut(whole, _own);
    }

    /// <summary>An item, in its own shape if the output is cut.</summary>
    public TensorItem Item(int row) => Plan.IsPadded ? Padder.Head(Whole(row), _own) : Whole(row);

    private TensorItem Whole(int row)
    {
        if (_value is null)
        {
            return Buffer.Item(row);
        }
        if (_strings is not null)
        {
            return new TensorItem(Plan.Spec, _shape, _strings.AsSpan(row * _length, _length));
        }
        var bytes = _length * TensorElementTypes.SizeOf(Plan.Spec.ElementType);
        return new TensorItem(Plan.Spec, _shape, _value.GetTensorMutableRawData().Slice(row * bytes, bytes));
    }

    private void CheckCut(ReadOnlySpan<long> bucketLengths)
    {
        var fits = _shape.Length == Plan.LengthOf.Length;
        for (var d = 0; fits && d < _shape.Length; d++)
        {
            fits = Plan.LengthOf[d] is not (>= 0 and var length) || _shape[d] == bucketLengths[length];
        }
        if (!fits)
        {
            throw new InvalidOperationException(
                $"Output '{Plan.Spec.Name}' came as [batch,{string.Join(',', _shape)}] for a padded length of {string.Join(" and ", bucketLengths.ToArray())}: it cannot be cut back to a request's own length.");
        }
    }
}
