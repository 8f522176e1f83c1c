namespace MArk.Serving.Provisioning;

/// <summary>
/// Judges by recent requests whether the objective is kept. It is broken where fewer than the service level were answered in time, and where
/// so many misses are no accident: the chance of as many, if each request missed with probability 1 - service level, is at most
/// exp(-n KL(m/n || 1 - service level)) for m of n (Chernoff's bound), and a break needs that to be below 1/1000, with 20 requests at least.
/// </summary>
internal sealed class SloMonitor(double serviceLevel, TimeSpan window, TimeSpan calm)
{
    private const int FewestRequests = 20;
    private const double Evidence = 6.9;        // ln 1000

    private readonly Queue<OutcomeSample> _slots = new();
    private long _offered;
    private long _inTime;
    private DateTimeOffset _since;
    private DateTimeOffset _heldUntil;

    /// <summary>Whether the window shows the objective broken.</summary>
    public bool IsBroken => serviceLevel < 1 && _offered >= FewestRequests && Attainment < serviceLevel && Divergence() * _offered >= Evidence;

    /// <summary>The share of the window's requests that were answered in time; 1 if there were none.</summary>
    public double Attainment => _offered == 0 ? 1 : (double)_inTime / _offered;

    /// <summary>The rate that is to be served, requests per second: the window's, or that of a slot in it if it is higher and enough came in it to say so.</summary>
    public double Rate
    {
        get
        {
            var seconds = _slots.Sum(s => s.Length.TotalSeconds);
            var mean = seconds > 0 ? _offered / seconds : 0;
            return _slots.Where(s => s.Offered >= FewestRequests).Select(s => s.Offered / s.Length.TotalSeconds).Append(mean).Max();
        }
    }

    /// <summary>What was not answered in time in the window, requests per second.</summary>
    public double MissedRate => _slots.Sum(s => s.Length.TotalSeconds) is > 0 and var seconds ? (_offered - _inTime) / seconds : 0;

    /// <summary>How often the objective was broken, after it had been kept for a while.</summary>
    public int Breaks { get; private set; }

    /// <summary>Whether what was launched beyond the plan is kept: until the objective has been kept all through the calm.</summary>
    public bool IsHeld(DateTimeOffset now) => now < _heldUntil;

    public void Observe(DateTimeOffset now, in OutcomeSample slot)
    {
        if (slot.Start - slot.Length < _since)
        {
            return;
        }
        _slots.Enqueue(slot);
        _offered += slot.Offered;
        _inTime += slot.InTime;
        // The last one stays, however long it is.
        while (_slots.Count > 1 && _slots.Peek().Start + window < slot.Start + slot.Length)
        {
            var old = _slots.Dequeue();
            _offered -= old.Offered;
            _inTime -= old.InTime;
        }
        if (IsBroken)
        {
            Breaks += IsHeld(now) ? 0 : 1;
            Hold(now);
        }
        else if (IsHeld(now) && Attainment < serviceLevel)
        {
            Hold(now);
        }
    }

    /// <summary>Keeps what is launched beyond the plan from now on, until all is calm.</summary>
    public void Hold(DateTimeOffset now) => _heldUntil = now + calm;

    /// <summary>There is more capacity now: what was before says nothing of it, and neither does a slot's length in which the backlog is worked off.</summary>
    public void Restart(DateTimeOffset now)
    {
        _slots.Clear();
        (_offered, _inTime, _since) = (0, 0, now);
    }

    /// <summary>KL(m/n || 1 - service level), the misses' share against what is allowed.</summary>
    private double Divergence()
    {
        var (missed, allowed) = (1 - Attainment, 1 - serviceLevel);
        return Term(missed, allowed) + Term(1 - missed, 1 - allowed);

        static double Term(double p, double q) => p == 0 ? 0 : p * Math.Log(p / q);
    }
}
