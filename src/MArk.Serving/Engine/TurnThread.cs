namespace MArk.Serving.Engine;

/// <summary>
/// A thread that takes an engine's turns, and sleeps in between. Where batches have threads of their own, a turn is due at the end of each, and the pool would wake
/// several of its threads for it, which then look for more to do, and by that take a good part of a core from the batches.
/// </summary>
/// <remarks>While a caller keeps it, it takes no turn, and the pool does: nobody waits for it.</remarks>
internal sealed class TurnThread
{
    private enum State
    {
        Asleep,
        Woken,
        Busy,
        Leaving,    // all but asleep: none of a caller's code runs before it looks for its next turn
        Ended,
    }

    private readonly Action<TurnThread> _turn;
    private readonly object _gate = new();      // waited on without a spin first: the next turn is mostly a batch away
    private volatile State _state;              // set under the gate
    private bool _ends;

    /// <param name="name">The thread's name.</param>
    /// <param name="turn">What it does each time it is woken; says when it is leaving.</param>
    public TurnThread(string name, Action<TurnThread> turn)
    {
        _turn = turn;
        new Thread(Loop) { IsBackground = true, Name = name }.UnsafeStart();
    }

    /// <summary>Has it take a turn, if it has nothing to do.</summary>
    /// <returns>Whether it does.</returns>
    public bool TryWake()
    {
        if (!CanTakeTurn(_state))
        {
            return false;
        }
        lock (_gate)
        {
            if (!CanTakeTurn(_state))
            {
                return false;
            }
            _state = State.Woken;
            Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Its turn is as good as over: it can take the next one.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            _state = State.Leaving;
        }
    }

    /// <summary>Has it end as soon as it has nothing to do.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ends = true;
            Monitor.Pulse(_gate);
        }
    }

    private static bool CanTakeTurn(State state) => state is State.Asleep or State.Leaving;

    private void Loop()
    {
        // As on the pool, what a caller leaves in its thread's context is no other's.
        var context = ExecutionContext.Capture()!;
        ContextCallback takeTurn = _ => _turn(this);
        while (WaitForTurn())
        {
            ExecutionContext.Run(context, takeTurn, null);
        }
    }

    private bool WaitForTurn()
    {
        lock (_gate)
        {
            if (_state is State.Busy or State.Leaving)
            {
                _state = State.Asleep;
            }
            while (_state == State.Asleep && !_ends)
            {
                Monitor.Wait(_gate);
            }
            // One that was woken takes its turn first.
            _state = _state == State.Woken ? State.Busy : State.Ended;
            return _state == State.Busy;
        }
    }
}
