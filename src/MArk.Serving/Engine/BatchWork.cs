using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>
/// A batch on its way through a runner: the inputs in order, the sink that takes the answers, and the callers that have theirs and do not know it
/// yet. Reused, once the run is over and every caller has gone on.
/// </summary>
internal sealed class BatchWork<TIn, TOut>(ModelEngine<TIn, TOut> engine) : IBatchSink<TOut>, IThreadPoolWorkItem
{
    private const long RunIsOver = 1L << 31;
    private const long NextUse = 1L << 32;
    private const long Index = RunIsOver - 1;

    private TIn[] _inputs = [];
    private InferenceOperation<TIn, TOut>?[] _operations = [];
    private Answer[] _answers = [];
    private TimeSpan[] _latencies = [];
    private (TimeSpan Arrival, TimeSpan Deadline)[] _terms = [];    // where outcomes are counted
    private int[] _claims = [];     // what the callers' memory that this run has reserved is given back with; 0 where it has none
    private int[] _heard = [];      // the indices whose callers are to go on, in the order of their answers
    private TOut[] _kept = [];      // the results of the whole batch, which nobody was told yet
    private IBatchOutputs<TOut>? _outputs;      // or what they are read from
    private TimeSpan _keptAt;
    private bool _keeps;
    private bool _isKept;
    private bool _hasDestinations;      // whether any caller brought memory for its answer
    private int _count;
    private int _heardCount;
    private int _isRecorded;

    // How many callers have gone on, whether the run is over, and which use of this object it is: one word, so that a thread that looks at an
    // earlier use takes nothing of this one.
    private long _progress;
    private SpinLock _gate = new(enableThreadOwnerTracking: false);

    private enum Answer : byte
    {
        None = 0,
        InTime,
        Late,
        Failed,
        Unheard,
        GivenBack,
    }

    /// <summary>The scheduler's record of the batch; nothing where the batch is a spilled request.</summary>
    public DispatchedBatch? Dispatched { get; private set; }

    /// <summary>Who runs it; nobody where the batch is a spilled request.</summary>
    public InstanceWorker<TIn, TOut>? Worker { get; private set; }

    /// <summary>Why the batch left, and how long its oldest request had waited.</summary>
    public BatchReason Reason { get; private set; }

    public TimeSpan OldestWait { get; private set; }

    /// <summary>Whether it is a request that went to the spillover target.</summary>
    public bool IsSpilled => Dispatched is null;

    public int Count => _count;

    public RequestBatch<TIn> Inputs => new(_inputs.AsMemory(0, _count));

    /// <summary>Whether the thread that runs it goes on with the engine's turn.</summary>
    public bool RunsInTurn { get; set; }

    /// <summary>Its span, where that ends with what is left to the turn.</summary>
    public Activity? Activity { get; set; }

    /// <summary>How long the run took, where its thread measures that.</summary>
    public TimeSpan? Ran { get; set; }

    /// <summary>The next one, where it stands among those that are to be completed: <see cref="EndedRuns{TIn, TOut}"/>.</summary>
    public BatchWork<TIn, TOut>? Next { get; set; }

    /// <summary>Whether it stands among those whose callers are to go on.</summary>
    public volatile bool IsListed;

    public bool HasUndelivered => (Volatile.Read(ref _progress) & Index) < Volatile.Read(ref _heardCount);

    void IThreadPoolWorkItem.Execute() => Worker!.Run(this);

    public void Begin(DispatchedBatch? dispatched, InstanceWorker<TIn, TOut>? worker, int count)
    {
        Dispatched = dispatched;
        Worker = worker;
        Reason = dispatched?.Reason ?? default;
        OldestWait = dispatched?.OldestWait ?? default;
        if (_inputs.Length < count)
        {
            _inputs = new TIn[count];
            _operations = new InferenceOperation<TIn, TOut>?[count];
            _answers = new Answer[count];
            _latencies = new TimeSpan[count];
            _terms = engine.CountsOutcomes ? new (TimeSpan, TimeSpan)[count] : [];
            _claims = [];
            _heard = new int[count];
        }
        _isRecorded = 0;
        Volatile.Write(ref _heardCount, 0);
        Volatile.Write(ref _progress, (_progress & ~(NextUse - 1)) + NextUse);
    }

    public void Add(InferenceOperation<TIn, TOut> operation)
    {
        _inputs[_count] = operation.Input;
        _operations[_count] = operation;
        if (operation.HasDestination && !_hasDestinations)
        {
            _hasDestinations = true;
            _claims = _claims.Length == 0 ? new int[_inputs.Length] : _claims;
        }
        _answers[_count] = Answer.None;
        if (_terms.Length > 0)
        {
            _terms[_count] = (operation.Arrival, operation.Deadline);
        }
        _count++;
    }

    /// <summary>Takes no answer any more: the run failed or its instance is gone, and what is unanswered goes elsewhere. Not reused afterwards.</summary>
    public void Close()
    {
        var taken = false;
        _gate.Enter(ref taken);
        foreach (ref var answer in _answers.AsSpan(0, _count))
        {
            answer = answer == Answer.None ? Answer.GivenBack : answer;
        }
        _gate.Exit();
    }

    /// <returns>Whether it has not been told to the meter yet.</returns>
    public bool TryRecord() => Interlocked.Exchange(ref _isRecorded, 1) == 0;

    public bool IsAnswered(int index) => _answers[index] is not (Answer.None or Answer.GivenBack);

    /// <summary>Whether a caller got a result, or an error; neither where it had stopped waiting.</summary>
    public bool IsAnsweredWell(int index) => _answers[index] is Answer.InTime or Answer.Late;

    public bool IsAnsweredBadly(int index) => _answers[index] == Answer.Failed;

    /// <summary>When a request arrived, where outcomes are counted.</summary>
    public TimeSpan Arrival(int index) => _terms[index].Arrival;

    public TimeSpan Deadline(int index) => _terms[index].Deadline;

    public TimeSpan Latency(int index) => _latencies[index];

    /// <summary>Whether a caller got a result after its deadline.</summary>
    public bool IsLate(int index) => _answers[index] == Answer.Late;

    public bool InTime(int index) => _answers[index] == Answer.InTime;

    public bool TryGetDestination(int index, [MaybeNullWhen(false)] out TOut destination)
    {
        Check(index, 1);
        destination = default;
        if (!_hasDestinations)
        {
            return false;
        }
        // Under the gate: once the run was given up, its callers' calls may be over, and their objects other calls.
        var taken = false;
        _gate.Enter(ref taken);
        var claim = 0;
        var isClaimed = _answers[index] == Answer.None && !_isKept && _operations[index]!.TryClaimDestination(out destination, out claim);
        _claims[index] = isClaimed ? claim : _claims[index];
        _gate.Exit();
        return isClaimed;
    }

    public void SetResult(int index, TOut result) => SetResults(index, new ReadOnlySpan<TOut>(in result));

    public void SetResults(int first, ReadOnlySpan<TOut> results)
    {
        Check(first, results.Length);
        var now = engine.Now;
        var repeated = -1;
        var taken = false;
        _gate.Enter(ref taken);
        if (_keeps && results.Length == _count && !_isKept && _heardCount == 0)
        {
            Keep(results, now);
            _gate.Exit();
            return;
        }
        for (var i = 0; i < results.Length; i++)
        {
            repeated = Hear(first + i, now, results[i], null) ? repeated : first + i;
        }
        _gate.Exit();
        // Where that was the whole batch, the run is about to end, and the turn it is part of goes on.
        engine.Deliver(this, turnFollows: RunsInTurn && results.Length == _count);
        ReportRepeated(repeated, "a second result");
    }

    public void SetError(int index, Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        Check(index, 1);
        var known = engine.FailureOf(error);
        var now = engine.Now;
        var taken = false;
        _gate.Enter(ref taken);
        var repeated = Hear(index, now, default, known) ? -1 : index;
        _gate.Exit();
        engine.Deliver(this, turnFollows: false);
        ReportRepeated(repeated, "an error after its answer");
    }

    /// <summary>From here to <see cref="TellKept"/>, results that come for the whole batch at once are kept, so that another thread than the run's tells the callers.</summary>
    public void KeepResults() => _keeps = true;

    /// <summary>The same for a runner that leaves its outputs: only the thread that has the run may read them.</summary>
    public void Keep(IBatchOutputs<TOut> outputs) => _outputs = outputs;

    /// <summary>Tells the callers what was kept for them, in a turn. For the thread that has the run, or that it was handed over to.</summary>
    /// <param name="turnFollows">Whether the thread takes a turn anyway.</param>
    /// <returns>Why it cannot be told, if it cannot.</returns>
    public Exception? TellKept(bool turnFollows)
    {
        if (_outputs is { } outputs)
        {
            _outputs = null;
            try
            {
                outputs.Answer(this);
            }
            catch (Exception e)
            {
                return e;
            }
            return null;
        }
        TellKeptResults(turnFollows);
        return null;
    }

    /// <summary>Tells the callers the results that were kept for them, each once whatever thread it is; outputs that are still to be read are left to the run's.</summary>
    public void TellKeptResults(bool turnFollows)
    {
        var taken = false;
        _gate.Enter(ref taken);
        var isKept = _isKept;
        _isKept = _keeps = false;
        for (var i = 0; isKept && i < _count; i++)
        {
            Hear(i, _keptAt, _kept[i], null);
            _kept[i] = default!;
        }
        _gate.Exit();
        if (isKept)
        {
            engine.Deliver(this, turnFollows);
        }
    }

    private void Keep(ReadOnlySpan<TOut> results, TimeSpan now)
    {
        if (_kept.Length < _count)
        {
            _kept = new TOut[_answers.Length];
        }
        results.CopyTo(_kept);
        _keptAt = now;
        _isKept = true;
    }

    /// <summary>What a runner that returned left unanswered fails, each request for itself.</summary>
    /// <returns>Whether the runner had answered everything: otherwise it may still do so, late.</returns>
    public bool FailUnanswered()
    {
        if (_answers.AsSpan(0, _count).IndexOfAny(Answer.None, Answer.GivenBack) < 0)
        {
            return true;
        }
        for (var i = 0; i < _count; i++)
        {
            if (_answers[i] == Answer.None)
            {
                var violation = new ContractViolationException(
                    engine.RunnerName, $"returned without an answer to request {i} of a batch of {_count}; every index must be answered once.");
                engine.Report(violation);
                SetError(i, violation);
            }
        }
        return false;
    }

    /// <summary>
    /// The run is over, and what it did not answer was given up: the callers' memory it had reserved may be written by the next one, and calls whose
    /// tokens fired meanwhile end. Not under the engine's lock.
    /// </summary>
    public void GiveDestinationsBack()
    {
        for (var i = 0; _hasDestinations && i < _count; i++)
        {
            if (_claims[i] is not 0 and var claim)
            {
                _claims[i] = 0;
                _operations[i]!.ReleaseDestination(claim);
            }
        }
    }

    /// <summary>The run is over and nothing more is asked of this object.</summary>
    /// <returns>Whether every caller has gone on too, so that it can be reused.</returns>
    public bool Finish() => (Interlocked.Or(ref _progress, RunIsOver) & Index) == _heardCount;

    /// <summary>Takes the next caller that has its answer, to let it go on; each is taken once.</summary>
    /// <param name="operation">The call.</param>
    /// <param name="isLast">Whether nothing more will come of this object, so that it can be reused.</param>
    public bool TryTakeAnswered([MaybeNullWhen(false)] out InferenceOperation<TIn, TOut> operation, out bool isLast)
    {
        while (true)
        {
            var progress = Volatile.Read(ref _progress);
            var next = (int)(progress & Index);
            var heard = Volatile.Read(ref _heardCount);
            if (next >= heard)
            {
                operation = null;
                isLast = false;
                return false;
            }
            // Read before it is claimed: a claim that holds shows that this is still the same use of the object.
            operation = _operations[_heard[next]]!;
            if (Interlocked.CompareExchange(ref _progress, progress + 1, progress) == progress)
            {
                isLast = (progress & RunIsOver) != 0 && next + 1 == heard;
                return true;
            }
        }
    }

    /// <summary>Lets go of the callers' objects.</summary>
    public void Clear()
    {
        Array.Clear(_inputs, 0, _count);
        Array.Clear(_operations, 0, _count);
        if (_hasDestinations)
        {
            Array.Clear(_claims, 0, _count);
        }
        _count = 0;
        Dispatched = null;
        Worker = null;
        RunsInTurn = false;
        Ran = null;
        Activity = null;
        _hasDestinations = false;
    }

    /// <summary>Notes an answer, under the gate.</summary>
    /// <returns>Whether it is the first, or one that nobody waits for here any more.</returns>
    private bool Hear(int index, TimeSpan now, TOut? result, ServingException? error)
    {
        ref var answer = ref _answers[index];
        if (answer != Answer.None || _isKept)
        {
            return answer == Answer.GivenBack;
        }
        var operation = _operations[index]!;
        _latencies[index] = now - operation.Arrival;
        var inTime = now <= operation.Deadline;
        if (operation.TryAnswer(error is null ? InferenceResult<TOut>.Success(result!, inTime, spilled: IsSpilled) : InferenceResult<TOut>.Failure(error)))
        {
            answer = error is not null ? Answer.Failed : inTime ? Answer.InTime : Answer.Late;
            _heard[_heardCount] = index;
            Volatile.Write(ref _heardCount, _heardCount + 1);
        }
        else
        {
            answer = Answer.Unheard;
        }
        return true;
    }

    private void ReportRepeated(int index, string what)
    {
        if (index >= 0)
        {
            engine.Report(new ContractViolationException(engine.RunnerName, $"gave {what} for request {index} of a batch of {_count}; the first answer stands."));
        }
    }

    private void Check(int index, int count)
    {
        if (index < 0 || index > _count - count)
        {
            throw new ArgumentOutOfRangeException(nameof(index), index, $"The batch has {_count} requests: accepted are 0 to {_count - 1}.");
        }
    }
}
