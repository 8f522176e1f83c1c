using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>A batch on its way through a runner: the inputs in order, and the sink that takes the answers. Reused.</summary>
internal sealed class BatchWork<TIn, TOut>(ModelEngine<TIn, TOut> engine) : IBatchSink<TOut>
{
    private const int Unanswered = 0;
    private const int Answering = 1;
    private const int AnsweredWell = 2;
    private const int AnsweredBadly = 3;
    private const int GivenBack = 4;
    private const int Unheard = 5;

    private TIn[] _inputs = [];
    private InferenceOperation<TIn, TOut>?[] _operations = [];
    private int[] _answers = [];
    private TimeSpan[] _latencies = [];
    private TimeSpan[] _deadlines = [];
    private TimeSpan[] _arrivals = [];
    private int _count;

    /// <summary>The scheduler's record of the batch; nothing where the batch is a spilled request.</summary>
    public DispatchedBatch? Dispatched { get; private set; }

    /// <summary>Why the batch left, and how long its oldest request had waited.</summary>
    public BatchReason Reason { get; private set; }

    public TimeSpan OldestWait { get; private set; }

    public int Count => _count;

    public RequestBatch<TIn> Inputs => new(_inputs.AsMemory(0, _count));

    public void Begin(DispatchedBatch? dispatched, int count)
    {
        Dispatched = dispatched;
        Reason = dispatched?.Reason ?? default;
        OldestWait = dispatched?.OldestWait ?? default;
        _count = 0;
        if (_inputs.Length < count)
        {
            _inputs = new TIn[count];
            _operations = new InferenceOperation<TIn, TOut>?[count];
            _answers = new int[count];
            _latencies = new TimeSpan[count];
            _deadlines = new TimeSpan[count];
            _arrivals = new TimeSpan[count];
        }
    }

    public void Add(InferenceOperation<TIn, TOut> operation)
    {
        _inputs[_count] = operation.Input;
        _operations[_count] = operation;
        _answers[_count] = Unanswered;
        _arrivals[_count] = operation.Arrival;
        _deadlines[_count] = operation.Deadline;
        _count++;
    }

    /// <summary>Lets go of the callers' objects.</summary>
    public void Clear()
    {
        Array.Clear(_inputs, 0, _count);
        Array.Clear(_operations, 0, _count);
        _count = 0;
        Dispatched = null;
    }

    /// <summary>Takes no answer any more: the run failed or its instance is gone, and what is unanswered goes elsewhere. Not reused afterwards.</summary>
    public void Close()
    {
        for (var i = 0; i < _count; i++)
        {
            Interlocked.CompareExchange(ref _answers[i], GivenBack, Unanswered);
        }
    }

    public bool IsAnswered(int index) => Volatile.Read(ref _answers[index]) is not (Unanswered or GivenBack);

    /// <summary>Whether a caller got a result, or an error; neither where it had stopped waiting.</summary>
    public bool IsAnsweredWell(int index) => _answers[index] == AnsweredWell;

    public bool IsAnsweredBadly(int index) => _answers[index] == AnsweredBadly;

    public TimeSpan Latency(int index) => _latencies[index];

    public bool InTime(int index) => _arrivals[index] + _latencies[index] <= _deadlines[index];

    public bool TryGetDestination(int index, [MaybeNullWhen(false)] out TOut destination)
    {
        Check(index);
        destination = default;
        return Volatile.Read(ref _answers[index]) == Unanswered && _operations[index]!.TryClaimDestination(out destination);
    }

    public void SetResult(int index, TOut result)
    {
        if (TryAnswer(index, "a second result"))
        {
            var now = engine.Now;
            _latencies[index] = now - _arrivals[index];
            var heard = _operations[index]!.TryEnd(InferenceResult<TOut>.Success(result, now <= _deadlines[index], spilled: Dispatched is null));
            _answers[index] = heard ? AnsweredWell : Unheard;
        }
    }

    public void SetError(int index, Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        if (TryAnswer(index, "an error after its answer"))
        {
            _latencies[index] = engine.Now - _arrivals[index];
            var heard = _operations[index]!.TryEnd(InferenceResult<TOut>.Failure(
                error as ServingException ?? new InferenceFailedException(engine.ModelName, error.Message, error)));
            _answers[index] = heard ? AnsweredBadly : Unheard;
        }
    }

    /// <summary>What a runner that returned left unanswered fails, each request for itself.</summary>
    /// <returns>Whether the runner had answered everything: otherwise it may still do so, late.</returns>
    public bool FailUnanswered()
    {
        var isWhole = true;
        for (var i = 0; i < _count; i++)
        {
            var answer = Volatile.Read(ref _answers[i]);
            isWhole &= answer is AnsweredWell or AnsweredBadly or Unheard;
            if (answer == Unanswered)
            {
                var violation = new ContractViolationException(
                    engine.RunnerName, $"returned without an answer to request {i} of a batch of {_count}; every index must be answered once.");
                engine.Report(violation);
                SetError(i, violation);
            }
        }
        return isWhole;
    }

    /// <summary>The run failed and is over: the callers' memory it had reserved may be written by the next one.</summary>
    public void GiveDestinationsBack()
    {
        for (var i = 0; i < _count; i++)
        {
            if (!IsAnswered(i))
            {
                _operations[i]!.ReleaseDestination();
            }
        }
    }

    private bool TryAnswer(int index, string what)
    {
        Check(index);
        var before = Interlocked.CompareExchange(ref _answers[index], Answering, Unanswered);
        if (before is Unanswered or GivenBack)
        {
            return before == Unanswered;
        }
        engine.Report(new ContractViolationException(engine.RunnerName, $"gave {what} for request {index} of a batch of {_count}; the first answer stands."));
        return false;
    }

    private void Check(int index)
    {
        if ((uint)index >= (uint)_count)
        {
            throw new ArgumentOutOfRangeException(nameof(index), index, $"The batch has {_count} requests: accepted are 0 to {_count - 1}.");
        }
    }
}
