namespace MArk.Serving.Prediction;

/// <summary>
/// The shape of a season: how far, at each part of it, a value lies from the slow level, smoothed exponentially from season to season. Parts are bins,
/// between whose middles is interpolated.
/// </summary>
internal sealed class SeasonProfile(int bins, double intervalsPerBin, double gain)
{
    private readonly double[] _values = new double[bins];
    private readonly double[] _counts = new double[bins];

    /// <summary>Whether this part was seen.</summary>
    public bool Has(double share) => _counts[Locate(share).Lower] > 0 || _counts[Locate(share).Upper] > 0;

    public double this[double share]
    {
        get
        {
            var (lower, upper, part) = Locate(share);
            if (_counts[lower] == 0 || _counts[upper] == 0)
            {
                return _counts[lower] == 0 ? _values[upper] : _values[lower];
            }
            return _values[lower] + part * (_values[upper] - _values[lower]);
        }
    }

    public void Learn(double share, double deviation)
    {
        var (lower, upper, part) = Locate(share);
        Learn(lower, 1 - part, deviation);
        Learn(upper, part, deviation);
    }

    private void Learn(int bin, double weight, double deviation)
    {
        if (weight < 1e-9)
        {
            return;
        }
        _counts[bin] += weight;
        _values[bin] += weight * Math.Max(gain / intervalsPerBin, 1 / _counts[bin]) * (deviation - _values[bin]);
    }

    private (int Lower, int Upper, double Part) Locate(double share)
    {
        var at = share * bins - 0.5;
        var lower = (int)Math.Floor(at);
        return ((lower + bins) % bins, (lower + 1) % bins, at - lower);
    }
}
