using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>The memory of one batch on its way to a server: requests are written into it, and answers read from what comes back.</summary>
internal sealed class WireBatch<TIn, TOut>
{
    private readonly ModelSignature _signature;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly InputBuffer[] _inputs;
    private readonly InputRows _rows;
    private readonly WireTensor[] _tensors;
    private TOut[] _answers = [];

    public WireBatch(ModelSignature signature, ITensorCodec<TIn, TOut> codec)
    {
        _signature = signature;
        _codec = codec;
        _inputs = [.. signature.Inputs.Select(spec => new InputBuffer(spec))];
        _rows = new InputRows(_inputs);
        _tensors = new WireTensor[_inputs.Length];
    }

    /// <summary>What was gathered.</summary>
    public IReadOnlyList<WireTensor> Tensors => _tensors;

    /// <summary>Writes requests into the batch; all have the same shapes.</summary>
    public void Gather(RequestBatch<TIn> batch)
    {
        for (var i = 0; i < _inputs.Length; i++)
        {
            var input = _inputs[i];
            input.Spec.ItemShape.CopyTo(input.ItemShape);
            if (!input.Spec.IsFixed)
            {
                _codec.GetItemShape(batch[0], i, input.ItemShape);
            }
            input.Reserve(batch.Count);
        }
        for (_rows.Row = 0; _rows.Row < batch.Count; _rows.Row++)
        {
            _codec.Write(batch[_rows.Row], _rows);
        }
        for (var i = 0; i < _inputs.Length; i++)
        {
            _tensors[i] = _inputs[i].ToTensor(batch.Count);
            CopiedBytes.Add(_tensors[i].Data.Length);
        }
    }

    /// <summary>Answers the requests from what a server gave back.</summary>
    /// <exception cref="WireFormatException">It is not what was asked for.</exception>
    public void Scatter(InferMessage answer, int count, IBatchSink<TOut> sink)
    {
        var outputs = TensorMatch.Order(answer.Tensors, _signature.Outputs, "outputs", out var items);
        if (items != count)
        {
            throw new WireFormatException("outputs", $"they are of {items} items; {count} were asked for.");
        }
        var rows = new TensorRows(_signature.Outputs, outputs);
        CopiedBytes.Add(outputs.Sum(o => (long)o.Data.Length));
        if (_answers.Length < count)
        {
            _answers = new TOut[count];
        }
        var told = 0;
        for (rows.Row = 0; rows.Row < count; rows.Row++)
        {
            try
            {
                var hasDestination = sink.TryGetDestination(rows.Row, out var destination);
                _answers[rows.Row] = _codec.Read(rows, hasDestination, destination);
            }
            catch (Exception e)
            {
                sink.SetResults(told, _answers.AsSpan(told..rows.Row));
                sink.SetError(rows.Row, e);
                told = rows.Row + 1;
            }
        }
        sink.SetResults(told, _answers.AsSpan(told..count));
        Array.Clear(_answers, 0, count);
    }

    private sealed class InputBuffer(TensorSpec spec)
    {
        private readonly int _elementSize = TensorElementTypes.SizeOf(spec.ElementType);
        private byte[] _bytes = [];
        private string[] _strings = [];
        private int _length;        // elements of an item

        public TensorSpec Spec { get; } = spec;

        public long[] ItemShape { get; } = new long[spec.ItemShape.Length];

        private bool IsString => Spec.ElementType == TensorElementType.String;

        public void Reserve(int count)
        {
            _length = 1;
            foreach (var dimension in ItemShape)
            {
                _length = checked((int)(_length * dimension));
            }
            var elements = checked(_length * count);
            if (IsString && _strings.Length < elements)
            {
                _strings = new string[elements];
            }
            ReserveBytes(checked(elements * _elementSize));
        }

        public TensorItem Item(int row) => IsString
            ? new TensorItem(Spec, ItemShape, _strings.AsSpan(row * _length, _length))
            : new TensorItem(Spec, ItemShape, _bytes.AsSpan(row * _length * _elementSize, _length * _elementSize));

        public WireTensor ToTensor(int count)
        {
            var size = _length * count * _elementSize;
            if (IsString)
            {
                var strings = _strings.AsSpan(0, _length * count);
                size = WireTensor.SizeOf(strings);
                ReserveBytes(size);
                WireTensor.Write(strings, _bytes);
                strings.Clear();
            }
            return new WireTensor(Spec.Name, Spec.ElementType, [count, .. ItemShape], _bytes.AsMemory(0, size));
        }

        private void ReserveBytes(int size)
        {
            if (_bytes.Length < size)
            {
                _bytes = GC.AllocateUninitializedArray<byte>(size);
            }
        }
    }

    private sealed class InputRows(InputBuffer[] inputs) : ITensorItems
    {
        public int Row { get; set; }

        public int Count => inputs.Length;

        public TensorItem this[int index] => inputs[index].Item(Row);
    }
}
