namespace MArk.Serving.Provisioning.Planning;

/// <summary>
/// Demand with the wait in it. Requests that arrive at a steady rate D at random intervals miss a capacity C by more than (D - C)+: some find every instance busy for too long.
/// That loss falls with C and bends upward, so it is E[(X - C)+] of some distribution X, of mean D: the effective demand. A problem that is given X in place of D
/// prices the misses of <see cref="WaitingLoss"/> and is otherwise as it was.
/// </summary>
internal sealed class EffectiveDemand
{
    private const int Atoms = 64;
    private const int GridFrom = -8;        // half octaves of the load
    private const int GridTo = 16;

    /// <summary>The shares of X that its points stand for, from the lowest: the tail finely, since that is where capacity is decided.</summary>
    private static readonly double[] Shares = [0.5, 0.3, 0.15, 0.05];

    private readonly double _capacity;
    private readonly double[][] _points = new double[GridTo - GridFrom + 1][];

    /// <summary>A table over loads.</summary>
    /// <param name="service">How an instance serves.</param>
    public EffectiveDemand(in ServicePoint service)
    {
        Service = service;
        _capacity = service.Throughput;
        var patience = 2 * service.BatchSize * (service.Slack / service.BatchTime);
        for (var i = 0; i < _points.Length; i++)
        {
            _points[i] = PointsAt(LoadAt(i), patience);
        }
    }

    public ServicePoint Service { get; }

    public static ReadOnlySpan<double> Probability => Shares;

    /// <summary>The effective demand of a steady rate.</summary>
    /// <param name="rate">Requests per second.</param>
    /// <param name="points">Its points, requests per second, ascending; as many as <see cref="Probability"/> has.</param>
    public void Spread(double rate, Span<double> points)
    {
        var load = rate / _capacity;
        var at = load > 0 ? 2 * Math.Log2(load) - GridFrom : -1;
        for (var j = 0; j < points.Length; j++)
        {
            double point;
            if (at < 0)
            {
                point = _points[0][j] * load / LoadAt(0);
            }
            else if (at >= _points.Length - 1)
            {
                // In a large fleet what is lost to waiting no longer grows with it.
                point = load + _points[^1][j] - LoadAt(_points.Length - 1);
            }
            else
            {
                var below = (int)at;
                var share = (load - LoadAt(below)) / (LoadAt(below + 1) - LoadAt(below));
                point = _points[below][j] + share * (_points[below + 1][j] - _points[below][j]);
            }
            points[j] = point * _capacity;
        }
    }

    private static double LoadAt(int index) => Math.Pow(2, (index + GridFrom) / 2.0);

    /// <summary>X at a load: the loss at many capacities, its slopes as probabilities, and the mean of each share of them.</summary>
    private static double[] PointsAt(double load, double patience)
    {
        var servers = new double[Atoms + 1];
        var loss = new double[Atoms + 1];
        loss[0] = load;
        for (var i = 1; i <= Atoms; i++)
        {
            // Dense about the load, where the loss bends: the more sharply the more patience there is.
            var u = -1 + 2.0 * i / Atoms;
            servers[i] = Math.Max(servers[i - 1] + 1e-6, load + 8 * (Math.Sqrt(load) + 1) * u * u * u);
            loss[i] = load * WaitingLoss.Share(servers[i], load, patience);
        }
        var points = new double[Shares.Length];
        var (slice, left, beyond) = (0, Shares[0], 1.0);    // beyond: the probability of more than the atom before
        for (var i = 0; i <= Atoms && slice < points.Length; i++)
        {
            var above = i == Atoms ? 0 : Math.Clamp((loss[i] - loss[i + 1]) / (servers[i + 1] - servers[i]), 0, beyond);
            var mass = beyond - above;
            beyond = above;
            while (slice < points.Length && mass > 0)
            {
                var taken = Math.Min(mass, left);
                points[slice] += taken / Shares[slice] * servers[i];
                mass -= taken;
                left -= taken;
                if (left <= 1e-12)
                {
                    left = ++slice < points.Length ? Shares[slice] : 0;
                }
            }
        }
        return points;
    }
}
