using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>The memory of one batch under way, for one thread at a time: gathers requests into it, runs them in place, and scatters the answers.</summary>
internal sealed class BatchSlot<TIn, TOut> : IBatchOutputs<TOut>, IDisposable
{
    private TOut[] _answers = [];
    private readonly Action<BatchSlot<TIn, TOut>> _release;
    private readonly ModelPlan _plan;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly InferenceSession _session;
    private readonly bool _isOnDevice;
    private readonly InputTensor[] _inputs;
    private readonly InputTensor[] _requestInputs;
    private readonly InputTensor[] _padded;
    private readonly InputTensor[] _masks;
    private readonly bool _pads;
    private readonly OutputTensor[] _outputs;
    private readonly OutputTensor[] _cut;
    private readonly InputItems _inputItems;
    private readonly OutputItems _outputItems;
    private readonly BatchLengths _lengths;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly Dictionary<(long Buckets, int Rows), BoundRun> _bound = [];
    private BoundRun? _next;
    private OrtValue[] _values = [];
    private IDisposableReadOnlyCollection<OrtValue>? _results;
    private int _count;
    private int _rows;

    public BatchSlot(InferenceSession session, ModelPlan plan, ITensorCodec<TIn, TOut> codec, bool isOnDevice, Action<BatchSlot<TIn, TOut>> release)
    {
        _release = release;
        _session = session;
        _plan = plan;
        _codec = codec;
        _isOnDevice = isOnDevice;
        _inputs = [.. plan.Inputs.Select(p => new InputTensor(p))];
        _requestInputs = [.. _inputs.Where(i => !i.Plan.IsMask)];
        _padded = [.. _requestInputs.Where(i => i.Plan.IsPadded)];
        _masks = [.. _inputs.Where(i => i.Plan.IsMask)];
        _pads = _padded.Length > 0 || _masks.Length > 0;
        _outputs = [.. plan.Outputs.Select(p => new OutputTensor(p))];
        _cut = [.. _outputs.Where(o => o.Plan.IsPadded)];
        _inputItems = new InputItems(_requestInputs);
        _outputItems = new OutputItems(_outputs);
        _lengths = new BatchLengths(plan);
        _inputNames = [.. plan.Inputs.Select(i => i.Spec.Name)];
        _outputNames = [.. plan.Outputs.Select(o => o.Spec.Name)];
    }

    /// <summary>Writes the requests into the batch.</summary>
    public void Gather(RequestBatch<TIn> batch)
    {
        _count = batch.Count;
        _rows = _plan.MaxBatchSize == int.MaxValue ? batch.Count : _plan.MaxBatchSize;
        _lengths.Begin(batch.Count);
        var requests = batch.Inputs;
        Reserve(requests[0]);
        for (var row = 0; row < requests.Length; row++)
        {
            if (_pads)
            {
                NoteLengths(requests[row], row);
            }
            _inputItems.Row = row;
            _codec.Write(requests[row], _inputItems);
            if (_pads)
            {
                Pad(row);
            }
        }
        if (_rows > batch.Count)
        {
            foreach (var input in _inputs)
            {
                input.Buffer.Blank(batch.Count, _rows);
            }
        }
        if (_plan.HasFiniteShapes)
        {
            _next = BoundRunOf((_lengths.Key, _rows));
        }
        else
        {
            _values = Array.ConvertAll(_inputs, input => input.Buffer.ToOrt(_rows));
        }
    }

    /// <summary>Runs what was gathered. The session is the caller's alone meanwhile.</summary>
    public void Run(RunOptions options)
    {
        if (_next is not null)
        {
            _next.Run(_session, options);
            return;
        }
        _results = _session.Run(options, _inputNames, _values, _outputNames);
    }

    /// <summary>Answers the requests, and gives the memory back.</summary>
    public void Answer(IBatchSink<TOut> sink)
    {
        try
        {
            Scatter(sink);
        }
        finally
        {
            _release(this);
        }
    }

    /// <summary>Lets go of what belongs to the last batch alone, however far it came.</summary>
    public void Reset()
    {
        _next = null;
        foreach (var value in _values)
        {
            value.Dispose();
        }
        _values = [];
        foreach (var output in _outputs)
        {
            output.Release();
        }
        _results?.Dispose();
        _results = null;
    }

    public void Dispose()
    {
        Reset();
        Unbind();
    }

    private void Scatter(IBatchSink<TOut> sink)
    {
        if (_results is not null)
        {
            for (var i = 0; i < _outputs.Length; i++)
            {
                _outputs[i].Open(_results[i], _rows, _lengths.Padded);
            }
        }
        if (_answers.Length < _count)
        {
            _answers = new TOut[_count];
        }
        // Told of in runs as long as they come: one call for the whole batch, unless a row cannot be read.
        var told = 0;
        for (var row = 0; row < _count; row++)
        {
            _outputItems.Row = row;
            try
            {
                foreach (var output in _cut)
                {
                    output.Cut(row, _lengths.Own(row));
                }
                var hasDestination = sink.TryGetDestination(row, out var destination);
                _answers[row] = _codec.Read(_outputItems, hasDestination, destination);
            }
            catch (Exception e)
            {
                sink.SetResults(told, _answers.AsSpan(told..row));
                sink.SetError(row, e);
                told = row + 1;
            }
        }
        sink.SetResults(told, _answers.AsSpan(told.._count));
        Array.Clear(_answers, 0, _count);
    }

    // All requests of a batch have the same shapes but for padding: the scheduler keeps others apart by their key.
    private void Reserve(TIn first)
    {
        for (var i = 0; i < _requestInputs.Length; i++)
        {
            var input = _requestInputs[i];
            if (!input.Plan.IsFixed)
            {
                input.Plan.Spec.ItemShape.CopyTo(input.Shape);
                _codec.GetItemShape(first, i, input.Shape);
                _lengths.Choose(input.Plan, input.Shape);
            }
        }
        _lengths.End();
        foreach (var mask in _masks)
        {
            mask.Plan.SetLengths(mask.Shape, _lengths.Padded);
        }
        var moved = false;
        try
        {
            foreach (var input in _inputs)
            {
                moved |= input.Buffer.Reserve(input.Shape, _rows);
            }
            for (var i = 0; i < _outputs.Length && _plan.HasFiniteShapes; i++)
            {
                _outputs[i].Plan.SetLengths(_outputs[i].Shape, _lengths.Padded);
                moved |= _outputs[i].Buffer.Reserve(_outputs[i].Shape, _rows);
            }
        }
        finally
        {
            // Even where a later one finds no memory: nothing may stay bound to memory that was given up.
            if (moved)
            {
                Unbind();
            }
        }
    }

    private void NoteLengths(TIn request, int row)
    {
        for (var i = 0; i < _requestInputs.Length; i++)
        {
            var input = _requestInputs[i];
            if (input.Plan.IsPadded)
            {
                input.Plan.Spec.ItemShape.CopyTo(input.Own);
                _codec.GetItemShape(request, i, input.Own);
                _lengths.Note(row, input.Plan, input.Own, input.Shape);
            }
        }
    }

    private void Pad(int row)
    {
        foreach (var input in _padded)
        {
            input.Pad(row);
        }
        foreach (var mask in _masks)
        {
            mask.Mark(row, _lengths.Own(row));
        }
    }

    private BoundRun BoundRunOf((long Buckets, int Rows) shape)
    {
        if (!_bound.TryGetValue(shape, out var run))
        {
            _bound.Add(shape, run = new BoundRun(_session, _inputs, _outputs, shape.Rows, _isOnDevice));
        }
        return run;
    }

    private void Unbind()
    {
        foreach (var run in _bound.Values)
        {
            run.Dispose();
        }
        _bound.Clear();
    }

    private sealed class InputItems(InputTensor[] inputs) : ITensorItems
    {
        public int Row { get; set; }

        public int Count => inputs.Length;

        public TensorItem this[int index] => inputs[index].Item(Row);
    }

    private sealed class OutputItems(OutputTensor[] outputs) : ITensorItems
    {
        public int Row { get; set; }

        public int Count => outputs.Length;

        public TensorItem this[int index] => outputs[index].Item(Row);
    }
}
