namespace MArk.Serving.Scheduling;

/// <summary>
/// How long before its deadline a request is to be done for hardly any to come late, where it can be had otherwise: spilled; or, under overload, where another takes its place. It follows a
/// quantile of what batches take beyond what was expected of them, by stochastic approximation (Robbins and Monro 1951): a batch that comes late moves it up by a step, one that does not a
/// little down, so that it rests where the share that comes late is <see cref="MayBeLate"/>. The same of what spilled requests take beyond what was quoted.
/// </summary>
/// <param name="slo">The objective, of which it is at most half.</param>
/// <param name="parts">In how many parts it is told of what is late together: a batch at once, spilled requests one by one.</param>
internal sealed class LatenessMargin(TimeSpan slo, int parts = 1)
{
    public const double MayBeLate = 0.0005;

    private readonly double _step = slo.Ticks / 10.0 / parts;
    private readonly double _most = slo.Ticks / 2.0;
    private double _ticks = slo.Ticks / 20.0;
    private int _givenUp;

    public TimeSpan Value => new((long)_ticks);

    /// <summary>A request that was counted on cannot be in time any more, before it has run.</summary>
    public void OnGivenUp() => _givenUp++;

    /// <summary>Learns from a batch, and what was given up since the last.</summary>
    /// <param name="kept">How many of its requests were counted on to be in time.</param>
    /// <param name="late">How many of these came late.</param>
    public void OnBatch(int kept, int late)
    {
        if (kept + _givenUp > 0)
        {
            _ticks = Math.Clamp(_ticks + _step * ((double)(late + _givenUp) / (kept + _givenUp) - MayBeLate), 0, _most);
            _givenUp = 0;
        }
    }

    /// <summary>Starts anew from no margin: where it keeps everything from an instance, nothing would ever be learnt.</summary>
    public void Forget() => _ticks = 0;
}
