namespace MArk.Serving.OpenInference.Client;

/// <summary>When a call to a server is given up: after several times as long as its slow calls take, so that a server that hangs holds a batch for as short as can be known.</summary>
internal sealed class CallTimeouts(TimeSpan least, TimeSpan most)
{
    private const double Factor = 8;
    private const double Fading = 0.995;

    private readonly Lock _gate = new();
    private double _slow;       // ticks; fades, so that what was slow once is forgotten

    public TimeSpan Current
    {
        get
        {
            lock (_gate)
            {
                return _slow == 0 ? most : TimeSpan.FromTicks((long)Math.Clamp(Factor * _slow, least.Ticks, most.Ticks));
            }
        }
    }

    public void OnAnswered(TimeSpan after)
    {
        lock (_gate)
        {
            _slow = Math.Max(after.Ticks, Fading * _slow);
        }
    }

    /// <summary>A server that has become slower, and does not hang, is met sooner or later.</summary>
    public void OnGivenUp()
    {
        lock (_gate)
        {
            _slow = Math.Min(2 * _slow, most.Ticks);
        }
    }
}
