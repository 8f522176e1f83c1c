using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>One session: gathers a batch into reused memory, runs it in place, and scatters the answers.</summary>
internal sealed class OnnxBatchRunner<TIn, TOut> : IBatchRunner<TIn, TOut>
{
    private readonly InferenceSession _session;
    private readonly ModelSignature _signature;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly RunOptions _runOptions = new();
    private readonly BatchBuffer[] _inputs;
    private readonly BatchBuffer[] _outputs;
    private readonly InputItems _inputItems;
    private readonly OutputItems _outputItems;
    private readonly bool _isFixed;
    private readonly Dictionary<int, OrtIoBinding> _bindings = [];
    private readonly List<OrtValue> _bound = [];

    public OnnxBatchRunner(InferenceSession session, ModelSignature signature, ITensorCodec<TIn, TOut> codec)
    {
        _session = session;
        _signature = signature;
        _codec = codec;
        _inputs = [.. signature.Inputs.Select(spec => new BatchBuffer(spec))];
        _outputs = [.. signature.Outputs.Select(spec => new BatchBuffer(spec))];
        _inputItems = new InputItems(_inputs);
        _outputItems = new OutputItems(signature.Outputs.Length);
        _isFixed = signature.Inputs.Concat(signature.Outputs).All(spec => spec.IsFixed && spec.ElementType != TensorElementType.String);
    }

    public int MaxBatchSize => _signature.MaxBatchSize;

    public bool BlocksThread => true;

    public ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _outputItems.Clear();
        var rows = _signature.MaxBatchSize == int.MaxValue ? batch.Count : _signature.MaxBatchSize;
        Gather(batch, rows);
        if (_isFixed)
        {
            _session.RunWithBinding(_runOptions, BindingOf(rows));
            foreach (var output in _outputs)
            {
                _outputItems.Use(output);
            }
            Scatter(batch.Count, sink);
        }
        else
        {
            RunUnbound(batch.Count, rows, sink);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        foreach (var binding in _bindings.Values)
        {
            binding.Dispose();
        }
        foreach (var value in _bound)
        {
            value.Dispose();
        }
        _bindings.Clear();
        _bound.Clear();
        _runOptions.Dispose();
        _session.Dispose();
        return ValueTask.CompletedTask;
    }

    private void Gather(RequestBatch<TIn> batch, int rows)
    {
        var moved = false;
        for (var i = 0; i < _inputs.Length; i++)
        {
            moved |= Reserve(i, batch[0], rows);
        }
        for (var row = 0; row < batch.Count; row++)
        {
            _inputItems.Row = row;
            _codec.Write(batch[row], _inputItems);
        }
        if (rows > batch.Count)
        {
            foreach (var input in _inputs)
            {
                input.Blank(batch.Count, rows);
            }
        }
        if (_isFixed)
        {
            foreach (var output in _outputs)
            {
                moved |= output.Reserve(output.Spec.ItemShape.AsSpan(), rows);
            }
            if (moved)
            {
                Unbind();
            }
        }
    }

    private bool Reserve(int index, TIn first, int rows)
    {
        var spec = _inputs[index].Spec;
        if (spec.IsFixed)
        {
            return _inputs[index].Reserve(spec.ItemShape.AsSpan(), rows);
        }
        // All requests of a batch have the same shapes: the scheduler keeps others apart by their key.
        var shape = spec.ItemShape.ToArray();
        _codec.GetItemShape(first, index, shape);
        return _inputs[index].Reserve(shape, rows);
    }

    /// <summary>With fixed shapes a batch size is bound once to the memory, and runs in place ever after.</summary>
    private OrtIoBinding BindingOf(int rows)
    {
        if (_bindings.TryGetValue(rows, out var binding))
        {
            return binding;
        }
        binding = _session.CreateIoBinding();
        foreach (var input in _inputs)
        {
            binding.BindInput(input.Spec.Name, Keep(input.ToOrt(rows)));
        }
        foreach (var output in _outputs)
        {
            binding.BindOutput(output.Spec.Name, Keep(output.ToOrt(rows)));
        }
        _bindings.Add(rows, binding);
        return binding;
    }

    private OrtValue Keep(OrtValue value)
    {
        _bound.Add(value);
        return value;
    }

    private void Unbind()
    {
        foreach (var binding in _bindings.Values)
        {
            binding.Dispose();
        }
        foreach (var value in _bound)
        {
            value.Dispose();
        }
        _bindings.Clear();
        _bound.Clear();
    }

    private void RunUnbound(int count, int rows, IBatchSink<TOut> sink)
    {
        var values = Array.ConvertAll(_inputs, input => input.ToOrt(rows));
        try
        {
            using var results = _session.Run(
                _runOptions, [.. _signature.Inputs.Select(i => i.Name)], values, [.. _signature.Outputs.Select(o => o.Name)]);
            for (var i = 0; i < results.Count; i++)
            {
                var shape = results[i].GetTensorTypeAndShape().Shape;
                if (shape.Length == 0 || shape[0] != rows)
                {
                    throw new InvalidOperationException(
                        $"Output '{_signature.Outputs[i].Name}' came as [{string.Join(',', shape)}] for a batch of {rows}: its first dimension is not the batch.");
                }
                _outputItems.Use(_signature.Outputs[i], results[i], shape.AsSpan(1).ToArray());
            }
            Scatter(count, sink);
        }
        finally
        {
            _outputItems.Clear();
            foreach (var value in values)
            {
                value.Dispose();
            }
        }
    }

    private void Scatter(int count, IBatchSink<TOut> sink)
    {
        for (var row = 0; row < count; row++)
        {
            _outputItems.Row = row;
            TOut answer;
            try
            {
                var hasDestination = sink.TryGetDestination(row, out var destination);
                answer = _codec.Read(_outputItems, hasDestination, destination);
            }
            catch (Exception e)
            {
                sink.SetError(row, e);
                continue;
            }
            sink.SetResult(row, answer);
        }
        _outputItems.Clear();
    }

    private sealed class InputItems(BatchBuffer[] buffers) : ITensorItems
    {
        public int Row { get; set; }

        public int Count => buffers.Length;

        public TensorItem this[int index] => buffers[index].Item(Row);
    }

    /// <summary>The outputs of a run: in our memory where shapes are fixed, else in ONNX Runtime's.</summary>
    private sealed class OutputItems(int capacity) : ITensorItems
    {
        private readonly (TensorSpec Spec, BatchBuffer? Own, OrtValue? Value, long[] Shape, string[]? Strings)[] _outputs =
            new (TensorSpec, BatchBuffer?, OrtValue?, long[], string[]?)[capacity];

        public int Row { get; set; }

        public int Count { get; private set; }

        public TensorItem this[int index]
        {
            get
            {
                var (spec, own, value, shape, strings) = _outputs[index];
                if (own is not null)
                {
                    return own.Item(Row);
                }
                var length = 1;
                foreach (var dimension in shape)
                {
                    length *= (int)dimension;
                }
                if (strings is not null)
                {
                    return new TensorItem(spec, shape, strings.AsSpan(Row * length, length));
                }
                var bytes = length * TensorElementTypes.SizeOf(spec.ElementType);
                return new TensorItem(spec, shape, value!.GetTensorMutableRawData().Slice(Row * bytes, bytes));
            }
        }

        public void Use(BatchBuffer own) => _outputs[Count++] = (own.Spec, own, null, [], null);

        public void Use(TensorSpec spec, OrtValue value, long[] shape) =>
            _outputs[Count++] = (spec, null, value, shape, spec.ElementType == TensorElementType.String ? value.GetStringTensorAsArray() : null);

        public void Clear()
        {
            Array.Clear(_outputs);
            Count = 0;
        }
    }
}
