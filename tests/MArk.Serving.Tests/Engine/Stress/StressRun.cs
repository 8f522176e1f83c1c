namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>What a run finds out about the moment it was dispatched: nothing earlier than this can have been.</summary>
internal readonly record struct DispatchFloor(long Tick, long Timestamp);

/// <summary>
/// One run of one batch by a fake runner or spillover target: looks at what it was given, and answers through the sink. What a run says of a call it
/// writes down before it tells the engine.
/// </summary>
internal sealed class StressRun
{
    private readonly RequestLedger _ledger;
    private readonly StressMachine _machine;
    private readonly IBatchSink<Reply> _sink;
    private readonly StressCall[] _calls;
    private readonly bool _isSpill;
    private volatile bool _isOver;

    public StressRun(RequestLedger ledger, StressMachine machine, RequestBatch<StressCall> batch, IBatchSink<Reply> sink, bool isSpill = false)
    {
        _ledger = ledger;
        _machine = machine;
        _sink = sink;
        _isSpill = isSpill;
        _calls = batch.Inputs.ToArray();
        if (Array.Exists(_calls, c => c is null))
        {
            ledger.Violate($"a run on {machine.Id} got a batch with an input that nobody gave");
            _calls = [.. _calls.Where(c => c is not null)];
        }
    }

    public IReadOnlyList<StressCall> Calls => _calls;

    public StressMachine Machine => _machine;

    /// <summary>Checks that the batch may be run as it is.</summary>
    /// <param name="limit">The most requests it may hold.</param>
    /// <param name="floor">Before this it was not dispatched.</param>
    /// <param name="maxWeight">The most weight it may have, if that is limited.</param>
    public void Enter(int limit, DispatchFloor floor, int? maxWeight = null)
    {
        if (_calls.Sum(c => c.Weight) > maxWeight)
        {
            _ledger.Violate($"a run on {_machine.Id} weighs {_calls.Sum(c => c.Weight)}; accepted is {maxWeight}");
        }
        if (_calls.Length == 0 || _calls.Length > limit)
        {
            _ledger.Violate($"a run on {_machine.Id} has {_calls.Length} requests; accepted are 1 to {limit}");
        }
        if (_calls.DistinctBy(c => (c.Options.Key, c.Shape)).Count() > 1)
        {
            _ledger.Violate($"a run on {_machine.Id} mixes keys or shapes: {string.Join(", ", _calls.Select(c => $"{c.Options.Key}/{c.Shape}"))}");
        }
        foreach (var call in _calls)
        {
            // What a lost machine has begun, or begins late, is run elsewhere too.
            if (call.Enter(this) is { _isOver: false } other && !_machine.IsLost && !other._machine.IsLost && !_ledger.MayGiveUp)
            {
                _ledger.Violate($"{call} is run on {_machine.Id} while it is run on {other._machine.Id}, or twice by one batch");
            }
            call.WasRun = true;
            if (Complaint(call, floor) is { } complaint)
            {
                _ledger.Violate($"{call}: it is run on {_machine.Id}, and was dispatched after {floor.Tick}: {complaint}");
            }
        }
    }

    private static string? Complaint(StressCall call, DispatchFloor floor)
    {
        if (call.IsInvalid)
        {
            return "it is invalid";
        }
        if (call.EndedAt > 0 && call.EndedAt < floor.Tick)
        {
            return "it had ended before that";
        }
        // A call whose memory a run had taken cannot be cancelled meanwhile.
        if (call.CancelSettled > 0 && call.CancelSettled < floor.Tick && !call.WasClaimed)
        {
            return $"it had been cancelled before that, by {call.CancelSettled}";
        }
        var isExpired = call.Options is { WhenUnreachable: WhenUnreachable.Reject, Timeout: { } timeout } && call.IsCancellable && call.BeganAt > 0
            && floor.Timestamp > 0 && TimeProvider.System.GetElapsedTime(call.BeganTimestamp, floor.Timestamp) > timeout;
        return isExpired ? "its deadline had passed before that, and it was to be refused then" : null;
    }

    /// <summary>Answers one request as it should be answered: into its caller's memory where the engine gives it.</summary>
    public void Answer(int index)
    {
        var call = _calls[index];
        var reply = TakeDestination(index) ?? new Reply();
        Write(call, reply);
        call.WasSpilled |= _isSpill;
        Tell(() => _sink.SetResult(index, reply));
    }

    /// <summary>Answers all requests in one call.</summary>
    public void AnswerAtOnce()
    {
        var replies = new Reply[_calls.Length];
        for (var i = 0; i < replies.Length; i++)
        {
            replies[i] = TakeDestination(i) ?? new Reply();
            Write(_calls[i], replies[i]);
            _calls[i].WasSpilled |= _isSpill;
        }
        Tell(() => _sink.SetResults(0, replies));
    }

    public void Fail(int index, Exception error)
    {
        var call = _calls[index];
        call.Excuse(error);
        call.WasSpilled |= _isSpill;
        Tell(() => _sink.SetError(index, error));
    }

    /// <summary>Gives a wrong answer to a request that has one already: the first stands.</summary>
    public void AnswerWrongly(int index) => Tell(() => _sink.SetResult(index, new Reply { Value = ~_calls[index].Expected }));

    /// <summary>Leaves a request without an answer.</summary>
    public void Forget(int index) => _calls[index].WasForgotten = true;

    /// <summary>Answers after the run is over, when the sink may have nobody left to hear it.</summary>
    public void AnswerLate(int index, bool wrongly = false)
    {
        var call = _calls[index];
        try
        {
            _sink.SetResult(index, new Reply { Value = wrongly ? ~call.Expected : call.Expected });
        }
        catch (ArgumentOutOfRangeException)
        {
            // The batch is no more.
        }
        catch (Exception e)
        {
            _ledger.Violate($"{call}: a late answer to it threw {e}");
        }
    }

    /// <summary>The whole run fails by this: whoever is alone in it fails with it.</summary>
    public Exception Break(Exception error)
    {
        if (_calls.Length == 1)
        {
            _calls[0].Excuse(error);
        }
        return error;
    }

    /// <summary>The run fails by its instance, with some of its calls answered: the others are run again, if they have not been too often.</summary>
    public Exception FailInstance(IEnumerable<int> unanswered)
    {
        foreach (var i in unanswered)
        {
            _calls[i].OnInstanceFailure();
        }
        _ledger.OnInstanceFailure();
        return new InstanceFailedException("the stress test's device is gone");
    }

    /// <summary>Nothing of it is under way any more. Before the engine can know.</summary>
    public void Leave() => _isOver = true;

    private Reply? TakeDestination(int index)
    {
        var call = _calls[index];
        Reply? destination = null;
        if (!Tell(() => _sink.TryGetDestination(index, out destination)))
        {
            return null;
        }
        if (destination is null || destination != call.Destination)
        {
            _ledger.Violate($"{call}: a run got memory that is not its caller's");
            return null;
        }
        call.WasClaimed = true;
        return destination;
    }

    private void Write(StressCall call, Reply reply)
    {
        CheckStillWaiting(call, reply);
        reply.Value = call.Expected;
        CheckStillWaiting(call, reply);
    }

    private void CheckStillWaiting(StressCall call, Reply reply)
    {
        // In this order: what ends a call whose memory is held comes after the loss or the stop.
        if (reply == call.Destination && call.EndedAt > 0 && !_machine.IsLost && !_ledger.MayGiveUp)
        {
            _ledger.Violate($"{call}: its caller's memory is written by a run on {_machine.Id} after it ended");
        }
    }

    private void Tell(Action tell) => Tell(() =>
    {
        tell();
        return true;
    });

    private bool Tell(Func<bool> tell)
    {
        try
        {
            return tell();
        }
        catch (Exception e)
        {
            _ledger.Violate($"the sink of a run on {_machine.Id} threw {e}");
            return false;
        }
    }
}
