namespace MArk.Serving.Provisioning;

/// <summary>How bursty the arrivals of late were within slots, each slot counted by the pairs of arrivals that it is told by: little is known of one with few.</summary>
internal sealed class BurstMeter
{
    // Of what a slot says, so much is left after each that follows: of slots of five seconds, half after five minutes.
    private const double Memory = 0.9885;

    // So many pairs, that of some hundred arrivals in one slot, say that there is no burst, before any slot says otherwise.
    private const double PriorPairs = 10_000;

    private double _pairs = PriorPairs;
    private double _excess;

    /// <summary>The squared coefficient of variation of the rate beyond that of a Poisson process; at least 0.</summary>
    public double Value => Math.Max(0, _excess / _pairs);

    public void Observe(in ArrivalSample sample)
    {
        if (sample.Count < 2 || !double.IsFinite(sample.Burstiness))
        {
            return;
        }
        var pairs = (double)sample.Count * (sample.Count - 1);
        _pairs = Memory * _pairs + pairs;
        _excess = Memory * _excess + pairs * sample.Burstiness;
    }
}
