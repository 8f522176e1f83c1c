namespace MArk.Serving.Simulation;

/// <summary>What the cheapest schedule comes to at a price of misses.</summary>
/// <param name="MissPrice">The price, US dollars a request.</param>
/// <param name="Cost">Its cost, misses at that price included, US dollars.</param>
/// <param name="Missed">What it misses, requests.</param>
internal readonly record struct PricedCost(double MissPrice, double Cost, double Missed)
{
    /// <summary>What its machines cost, US dollars.</summary>
    public double Machines => Missed > 0 ? Cost - MissPrice * Missed : Cost;
}

/// <summary>
/// The cheapest schedule of whole machines where a missed request has a price, exactly: by dynamic programming over all combinations of counts, step by step. Minimum billing is left out, which can
/// only make it cheaper.
/// </summary>
/// <remarks>
/// The cheapest way from any counts to any other is the sum over types of LaunchCost (n - m)+, so one sweep down and one up each type's counts replace the search over all pairs.
/// </remarks>
internal sealed class CountRecursion
{
    private const int MaxStates = 250_000;
    private const long MaxWork = 200_000_000;       // states times steps: a few seconds

    private readonly BoundModel _model;
    private readonly int _states;
    private readonly int[] _stride;
    private readonly double[] _price;       // of each state, a step
    private readonly double[] _capacity;

    private CountRecursion(BoundModel model, int states)
    {
        _model = model;
        _states = states;
        _stride = new int[model.Types.Length];
        _price = new double[states];
        _capacity = new double[states];
        var stride = 1;
        for (var i = 0; i < _stride.Length; i++)
        {
            _stride[i] = stride;
            stride *= model.Types[i].Max + 1;
            for (var s = 0; s < states; s++)
            {
                _price[s] += model.Types[i].Price * Count(i, s);
                _capacity[s] += model.Types[i].Capacity * Count(i, s);
            }
        }
    }

    /// <summary>The recursion of a model; <see langword="null"/> if there are too many combinations of counts.</summary>
    public static CountRecursion? Of(BoundModel model)
    {
        var states = 1L;
        foreach (var type in model.Types)
        {
            states *= type.Max + 1L;
            if (states > MaxStates || states * model.Steps > MaxWork)
            {
                return null;
            }
        }
        return new CountRecursion(model, (int)states);
    }

    /// <summary>The least cost at a price of misses, US dollars a request; infinite to allow none. <see langword="null"/> if it was stopped.</summary>
    public PricedCost? Least(double missPrice, CancellationToken stop)
    {
        var table = new Table(_states);
        for (var t = 0; t < _model.Steps; t++)
        {
            if (stop.IsCancellationRequested)
            {
                return null;
            }
            Move(table, t);
            Serve(table, t, missPrice);
        }
        var best = Best(table.Cost);
        return new PricedCost(missPrice, table.Cost[best], table.Missed[best]);
    }

    /// <summary>The schedule of that cost: machines of each type at each step. <see langword="null"/> if it was stopped, or if none is possible.</summary>
    public int[][]? Schedule(double missPrice, CancellationToken stop)
    {
        // Tables are kept at the end of each stretch only, and those within it made again on the way back.
        var length = (int)Math.Ceiling(Math.Sqrt(_model.Steps));
        var ends = new List<double[]>();
        var table = new Table(_states);
        for (var t = 0; t < _model.Steps; t++)
        {
            if (stop.IsCancellationRequested)
            {
                return null;
            }
            Move(table, t);
            Serve(table, t, missPrice);
            if ((t + 1) % length == 0)
            {
                ends.Add((double[])table.Cost.Clone());
            }
        }
        var state = Best(table.Cost);
        if (double.IsPositiveInfinity(table.Cost[state]))
        {
            return null;
        }
        var counts = Array.ConvertAll(_model.Types, _ => new int[_model.Steps]);
        for (var first = (_model.Steps - 1) / length * length; first >= 0; first -= length)
        {
            if (stop.IsCancellationRequested)
            {
                return null;
            }
            state = GoBack(first, Math.Min(first + length, _model.Steps), first == 0 ? null : ends[first / length - 1], missPrice, state, counts);
        }
        return counts;
    }

    /// <summary>Writes the schedule from step <paramref name="first"/> up to <paramref name="end"/>, where it is in <paramref name="state"/> at the last of them.</summary>
    /// <returns>The state at the step before the first.</returns>
    private int GoBack(int first, int end, double[]? before, double missPrice, int state, int[][] counts)
    {
        var table = new Table(_states);
        before?.CopyTo(table.Cost, 0);
        var costs = new double[end - first][];
        for (var t = first; t < end; t++)
        {
            Move(table, t);
            Serve(table, t, missPrice);
            costs[t - first] = (double[])table.Cost.Clone();
        }
        for (var t = end - 1; t >= first; t--)
        {
            for (var i = 0; i < counts.Length; i++)
            {
                counts[i][t] = Count(i, state);
            }
            state = (t == first ? before : costs[t - first - 1]) is { } cost ? Predecessor(cost, state) : 0;
        }
        return state;
    }

    private int Predecessor(double[] cost, int state)
    {
        var (best, least) = (0, double.PositiveInfinity);
        for (var s = 0; s < _states; s++)
        {
            if (cost[s] >= least)
            {
                continue;
            }
            var total = cost[s];
            for (var i = 0; i < _stride.Length; i++)
            {
                total += _model.Types[i].LaunchCost * Math.Max(0, Count(i, state) - Count(i, s));
            }
            (best, least) = total < least ? (s, total) : (best, least);
        }
        return best;
    }

    private int Count(int type, int state) => state / _stride[type] % (_model.Types[type].Max + 1);

    private static int Best(double[] cost)
    {
        var best = 0;
        for (var s = 1; s < cost.Length; s++)
        {
            best = cost[s] < cost[best] ? s : best;
        }
        return best;
    }

    /// <summary>Launches and lets go, before a step.</summary>
    private void Move(Table table, int step)
    {
        if (step == 0)
        {
            Start(table);
            return;
        }
        for (var i = 0; i < _stride.Length; i++)
        {
            var (stride, max, launch) = (_stride[i], _model.Types[i].Max, _model.Types[i].LaunchCost);
            for (var block = 0; block < _states; block += stride * (max + 1))
            {
                for (var s = block + stride * max - 1; s >= block; s--)
                {
                    table.Improve(s, s + stride, 0);
                }
                for (var s = block + stride; s < block + stride * (max + 1); s++)
                {
                    table.Improve(s, s - stride, launch);
                }
            }
        }
    }

    private void Start(Table table)
    {
        for (var s = 0; s < _states; s++)
        {
            table.Cost[s] = 0;
            for (var i = 0; i < _stride.Length; i++)
            {
                table.Cost[s] += _model.Types[i].LaunchCost * Math.Max(0, Count(i, s) - _model.Types[i].Initial);
            }
        }
    }

    private void Serve(Table table, int step, double missPrice)
    {
        var demand = _model.Demand[step];
        var enough = demand * (1 - BoundModel.Negligible);
        var (cost, missed) = (table.Cost, table.Missed);
        for (var s = 0; s < cost.Length; s++)
        {
            cost[s] += _price[s];
            if (_capacity[s] < enough)
            {
                cost[s] += missPrice * (demand - _capacity[s]);
                missed[s] += demand - _capacity[s];
            }
        }
    }

    /// <summary>For each state the least cost of a schedule that ends in it, and what that misses.</summary>
    private sealed class Table(int states)
    {
        public double[] Cost { get; } = new double[states];

        public double[] Missed { get; } = new double[states];

        public void Improve(int state, int from, double more)
        {
            if (Cost[from] + more < Cost[state])
            {
                Cost[state] = Cost[from] + more;
                Missed[state] = Missed[from];
            }
        }
    }
}
