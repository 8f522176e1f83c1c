namespace MArk.Serving.OpenInference.Protocol;

/// <summary>The tensors of a batch, one item at a time, as a codec sees them.</summary>
internal sealed class TensorRows : ITensorItems
{
    private readonly Rows[] _tensors;

    /// <param name="specs">What each tensor is declared as.</param>
    /// <param name="tensors">The tensors, in that order; each has the batch as its first dimension.</param>
    public TensorRows(IReadOnlyList<TensorSpec> specs, IReadOnlyList<WireTensor> tensors)
    {
        _tensors = new Rows[tensors.Count];
        for (var i = 0; i < _tensors.Length; i++)
        {
            _tensors[i] = new Rows(specs[i], tensors[i]);
        }
    }

    /// <summary>Which item.</summary>
    public int Row { get; set; }

    public int Count => _tensors.Length;

    public TensorItem this[int index] => _tensors[index].Item(Row);

    private sealed class Rows
    {
        private readonly TensorSpec _spec;
        private readonly WireTensor _tensor;
        private readonly long[] _itemShape;
        private readonly string[]? _strings;
        private readonly int _length;       // of an item: elements of strings, bytes of numbers

        public Rows(TensorSpec spec, WireTensor tensor)
        {
            (_spec, _tensor) = (spec, tensor);
            _itemShape = tensor.Shape[1..];
            _strings = tensor.ElementType == TensorElementType.String ? tensor.ReadStrings() : null;
            var items = (int)tensor.Shape[0];
            _length = items == 0 ? 0 : (_strings?.Length ?? tensor.Data.Length) / items;
        }

        public TensorItem Item(int row) => _strings is not null
            ? new TensorItem(_spec, _itemShape, _strings.AsSpan(row * _length, _length))
            : new TensorItem(_spec, _itemShape, _tensor.Bytes.Slice(row * _length, _length));
    }
}
