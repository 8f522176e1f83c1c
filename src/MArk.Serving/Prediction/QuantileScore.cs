namespace MArk.Serving.Prediction;

/// <summary>Judges quantiles by the samples of an interval.</summary>
internal sealed class QuantileScore
{
    private double[] _sorted = [];
    private double[] _sums = [0];       // of the first i
    private int _zeros;

    /// <summary>The samples of an interval, by which quantiles are to be judged.</summary>
    public void Set(ReadOnlySpan<double> samples)
    {
        if (_sorted.Length != samples.Length)
        {
            _sorted = new double[samples.Length];
            _sums = new double[samples.Length + 1];
        }
        samples.CopyTo(_sorted);
        Array.Sort(_sorted);
        _zeros = 0;
        for (var i = 0; i < _sorted.Length; i++)
        {
            _sums[i + 1] = _sums[i] + _sorted[i];
            _zeros += _sorted[i] == 0 ? 1 : 0;
        }
    }

    /// <summary>
    /// The quantile (pinball) loss of each level, as a mean over samples, and the share of samples that it covers. A sample of 0 under several quantiles
    /// of 0 is covered in part: the lower ones of them would, drawn at random, cover it less often than the highest.
    /// </summary>
    /// <param name="quantiles">At <see cref="ForecastTable.Levels"/>, not falling.</param>
    /// <param name="losses">Filled: the loss of each level, requests per second.</param>
    /// <param name="covered">Filled: the share of samples covered at each level.</param>
    /// <returns>The mean loss over the levels, requests per second.</returns>
    public double Judge(ReadOnlySpan<float> quantiles, Span<double> losses, Span<double> covered)
    {
        var levels = ForecastTable.Levels;
        var count = _sorted.Length;
        var sharpZeros = 0;
        while (sharpZeros < quantiles.Length && quantiles[sharpZeros] == 0)
        {
            sharpZeros++;
        }
        var (sum, below) = (0.0, 0);
        for (var level = 0; level < levels.Length; level++)
        {
            var (quantile, target) = ((double)quantiles[level], levels[level]);
            while (below < count && _sorted[below] <= quantile)
            {
                below++;
            }
            var loss = target * (_sums[count] - _sums[below] - (count - below) * quantile) + (1 - target) * (below * quantile - _sums[below]);
            sum += loss;
            losses[level] = Math.Max(0, loss / count);  // rounding may leave less than none
            var partly = level < sharpZeros ? _zeros * (1 - target / levels[sharpZeros - 1]) : 0;
            covered[level] = (below - partly) / count;
        }
        return sum / (count * levels.Length);
    }
}
