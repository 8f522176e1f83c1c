namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>When a caller's token fires.</summary>
internal enum CancelPlan
{
    /// <summary>There is no token: the call may be reused by the engine.</summary>
    NoToken = 0,

    /// <summary>There is a token, and it never fires.</summary>
    Never,
    BeforeItAsks,

    /// <summary>On another thread, while the call begins.</summary>
    WhileItAsks,
    AtOnce,

    /// <summary>Some calls later, whatever it does then.</summary>
    Later,

    /// <summary>By the first run that holds it.</summary>
    WhileItRuns,
    AfterItsAnswer,
}

/// <summary>An answer, or the caller's memory for one.</summary>
internal sealed class Reply
{
    public long Value;
}

/// <summary>One call: what it asks for, and what is known to have happened to it. It is the input of its own request, so that whoever runs it can tell.</summary>
internal sealed class StressCall(RequestLedger ledger, int number, CancelPlan plan)
{
    private readonly CancellationTokenSource? _source = plan == CancelPlan.NoToken ? null : new CancellationTokenSource();
    private readonly Lock _gate = new();
    private readonly List<Exception> _excuses = [];
    private int _endings;
    private int _cancelled;
    private int _settled;
    private long _cancelBegan;
    private long _cancelSettled;
    private long _endedAt;
    private long _beganAt;
    private int _instanceFailures;
    private StressRun? _run;

    public const int MaxWeight = 4;
    public const int MaxBytes = 100;

    public int Number => number;

    public int Weight { get; init; } = 1;

    public long Bytes { get; init; }

    public CancelPlan Plan => plan;

    public InferenceOptions Options { get; init; }

    public long Shape { get; init; }

    /// <summary>Fails whatever batch holds it.</summary>
    public bool IsPoison { get; init; }

    /// <summary>Is refused before it is queued.</summary>
    public bool IsInvalid { get; init; }

    /// <summary>Asks by the method that throws.</summary>
    public bool Throws { get; init; }

    /// <summary>The caller's memory, where it gave any.</summary>
    public Reply? Destination { get; init; }

    /// <summary>The only right answer.</summary>
    public long Expected => unchecked((number + 1) * (long)0x9E3779B97F4A7C15UL);

    public CancellationToken Token => _source?.Token ?? CancellationToken.None;

    public bool IsCancellable => _source is not null;

    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>How it ended; last of all written.</summary>
    public volatile string? Ending;

    /// <summary>The ledger's tick when its begin had returned: for a call with a token, the engine has it by then.</summary>
    public long BeganAt => Volatile.Read(ref _beganAt);

    /// <summary>The clock when its begin had returned.</summary>
    public long BeganTimestamp { get; private set; }

    /// <summary>How many lost machines the engine had given up before the call began.</summary>
    public int PastLosses { get; init; }

    public long CancelBegan => Volatile.Read(ref _cancelBegan);

    /// <summary>The tick when the engine surely knew of the cancellation.</summary>
    public long CancelSettled => Volatile.Read(ref _cancelSettled);

    public long EndedAt => Volatile.Read(ref _endedAt);

    /// <summary>Whether a run has ever held the caller's memory: then only an answer, or a stop, ends the call.</summary>
    public volatile bool WasClaimed;

    /// <summary>Whether a run returned without an answer to it.</summary>
    public volatile bool WasForgotten;

    /// <summary>Whether a runner has ever had it.</summary>
    public volatile bool WasRun;

    /// <summary>Whether a spillover target has answered it.</summary>
    public volatile bool WasSpilled;

    /// <summary>How many runs that held it, and had not answered it, said that the instance is at fault.</summary>
    public int InstanceFailures => Volatile.Read(ref _instanceFailures);

    public void OnInstanceFailure() => Interlocked.Increment(ref _instanceFailures);

    /// <summary>Whether it was refused for another reason than a stop.</summary>
    public volatile bool IsRefusedForNow;

    /// <summary>The run that holds it becomes another; the one before is returned.</summary>
    public StressRun? Enter(StressRun run) => Interlocked.Exchange(ref _run, run);

    public void Began(long timestamp)
    {
        BeganTimestamp = timestamp;
        Volatile.Write(ref _beganAt, ledger.Tick());
        SettleCancel();
    }

    public void Cancel()
    {
        if (_source is null || Interlocked.Exchange(ref _cancelled, 1) == 1)
        {
            return;
        }
        Volatile.Write(ref _cancelBegan, ledger.Tick());
        try
        {
            _source.Cancel();
        }
        catch (AggregateException e)
        {
            ledger.Violate($"{this}: cancelling it threw {e.InnerExceptions[0]}");
        }
        SettleCancel();
    }

    /// <summary>A run says that this very request fails, and by what.</summary>
    public void Excuse(Exception error)
    {
        lock (_gate)
        {
            _excuses.Add(error);
        }
    }

    public bool IsExcusedBy(Exception? error)
    {
        lock (_gate)
        {
            return error is not null && _excuses.Contains(error);
        }
    }

    /// <returns>How often it has ended now.</returns>
    public int End()
    {
        Interlocked.CompareExchange(ref _endedAt, ledger.Tick(), 0);
        return Interlocked.Increment(ref _endings);
    }

    public override string ToString() =>
        $"call {number} ({plan}, {Options.WhenUnreachable?.ToString() ?? "default"} within {Options.Timeout?.ToString() ?? "the SLO"}, key {Options.Key ?? "none"}"
        + $"{(IsPoison ? ", poison" : "")}{(Destination is null ? "" : ", into")}; began {BeganAt}{(WasRun ? ", run" : "")}{(WasClaimed ? ", claimed" : "")}"
        + $"{(WasSpilled ? ", spilled" : "")}{(CancelBegan > 0 ? $", cancelled {CancelBegan}" : "")}{(EndedAt > 0 ? $", ended {EndedAt} as {Ending}" : "")})";

    private void SettleCancel()
    {
        // Both the begin and the cancellation have returned: whichever of them told the engine has done so.
        if (Interlocked.Increment(ref _settled) == 2)
        {
            Volatile.Write(ref _cancelSettled, ledger.Tick());
        }
    }
}
