namespace MArk.Serving.Engine;

/// <summary>Keeps a fleet's lease, or waits for it: asks three times a duration, and says until when it is held. Thread-safe.</summary>
internal sealed class LeaseKeeper : IAsyncDisposable
{
    private static readonly TimeSpan ReleaseTimeout = TimeSpan.FromSeconds(5);
    private static int s_keepers;

    private readonly IFleetLease _lease;
    private readonly string _fleet;
    private readonly string _holder;
    private readonly TimeSpan _duration;
    private readonly TimeProvider _time;
    private readonly Action<DateTimeOffset?> _answer;
    private readonly Action<ServingException> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private Task _asking = Task.CompletedTask;
    private int _isAsking;
    private int _saysWhoWaits = 1;

    /// <summary>A keeper that has not asked yet.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="duration">For how long the lease is held without asking again.</param>
    /// <param name="time">The time.</param>
    /// <param name="answer">Told until when the lease is held, UTC; nothing if another holds it. Not called where the answer is not known: then it is held for as long as was said.</param>
    /// <param name="report">Takes what goes wrong.</param>
    public LeaseKeeper(IFleetLease lease, string fleet, TimeSpan duration, TimeProvider time, Action<DateTimeOffset?> answer, Action<ServingException> report)
    {
        _lease = lease;
        _fleet = fleet;
        // Another for each start of each host, also where two start at once.
        _holder = FormattableString.Invariant($"{Environment.MachineName}/{Environment.ProcessId}/{time.GetUtcNow().Ticks:x}/{Interlocked.Increment(ref s_keepers)}");
        _duration = duration;
        _time = time;
        _answer = answer;
        _report = report;
        _timer = OwnContext.CreateTimer(time, Ask);
    }

    /// <summary>Whether the last answer was that the lease is held.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>Asks for the first time, and waits for the answer for a third of a duration at most; and then asks on.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Ask();
        await _asking.EndsWithinAsync(_duration / 3, _time, cancellationToken).ConfigureAwait(false);
        _timer.Change(_duration / 3, _duration / 3);
    }

    /// <summary>Asks no more, and gives the lease back.</summary>
    public async Task StopAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        try
        {
            await _stop.CancelAsync().ConfigureAwait(false);
        }
        catch (AggregateException e)
        {
            _report(new FleetLeaseException(_fleet, $"had something registered with its token that threw: {e.InnerExceptions[0].Message}", e));
        }
        var released = Task.Run(ReleaseAsync, CancellationToken.None);
        if (!await released.EndsWithinAsync(ReleaseTimeout, _time).ConfigureAwait(false))
        {
            _report(new FleetLeaseException(_fleet, $"was not given back within {ReleaseTimeout}, and runs out by itself: {_lease.GetType().Name} does not heed its token."));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Asks, unless a call is under way still: if that never returns, the lease runs out.</summary>
    private void Ask()
    {
        if (Interlocked.Exchange(ref _isAsking, 1) == 0)
        {
            _asking = Task.Run(AskAsync, CancellationToken.None);
        }
    }

    private async Task AskAsync()
    {
        try
        {
            var asked = _time.GetUtcNow();
            var isHeld = await _lease.TryHoldAsync(_fleet, _holder, _duration, _stop.Token).ConfigureAwait(false);
            IsHeld = isHeld;
            if (!isHeld && Interlocked.Exchange(ref _saysWhoWaits, 0) == 1)
            {
                _report(new FleetLeaseException(_fleet, "is held by another host: this one launches nothing, and serves by spillover only, until it follows."));
            }
            // A third earlier than others take it: what was begun last must have ended, and clocks differ.
            _answer(isHeld ? asked + _duration * (2.0 / 3) : null);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The host stops.
        }
        catch (Exception e)
        {
            _report(e as FleetLeaseException ?? new FleetLeaseException(_fleet, $"could not be asked for; it is tried again: {e.Message}", e));
        }
        finally
        {
            Volatile.Write(ref _isAsking, 0);
        }
    }

    private async Task ReleaseAsync()
    {
        try
        {
            using var giveUp = new CancellationTokenSource(ReleaseTimeout, _time);
            await _asking.ConfigureAwait(false);
            await _lease.ReleaseAsync(_fleet, _holder, giveUp.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _report(e as FleetLeaseException ?? new FleetLeaseException(_fleet, $"could not be given back, and runs out by itself: {e.Message}", e));
        }
    }
}
