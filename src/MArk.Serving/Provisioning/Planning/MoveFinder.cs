namespace MArk.Serving.Provisioning.Planning;

/// <summary>Finds the interval in which a change of counts saves most.</summary>
internal sealed class MoveFinder(FleetProblem problem, FleetSchedule schedule)
{
    private readonly double[] _step = new double[problem.Steps];        // what the change costs while it lasts
    private readonly double[] _begin = new double[problem.Steps];       // what it costs to begin it at a step
    private readonly double[] _end = new double[problem.Steps + 1];     // what it costs to end it before a step

    /// <summary>Steps looked at so far.</summary>
    public long Evaluations { get; private set; }

    /// <summary>The interval of the lowest cost, among those within the bounds.</summary>
    /// <param name="move">The change; its interval is ignored.</param>
    /// <param name="best">The change over its best interval.</param>
    /// <returns>What it costs; not below zero if nothing is saved.</returns>
    public double Find(in FleetMove move, out FleetMove best)
    {
        Evaluations += problem.Steps;
        Price(move);
        var cost = FindShortest(move, 1, out best);
        if (cost >= 0 || schedule.Allows(best))
        {
            return cost;
        }
        // It was most likely too short for what it launches.
        cost = FindShortest(move, MinimumUp(move), out best);
        return cost >= 0 || schedule.Allows(best) ? cost : FindAllowed(move, out best);
    }

    /// <summary>The first intervals, each cheaper than the last, until one is within the bounds and the rest cost more.</summary>
    private double FindAllowed(in FleetMove move, out FleetMove best)
    {
        var cost = 0.0;
        best = move with { From = 0, To = 0 };
        var checks = 16;
        for (var from = 0; from < problem.Steps && checks > 0; from++)
        {
            var open = _begin[from];
            for (var t = from; t < problem.Steps && open < double.PositiveInfinity && checks > 0; t++)
            {
                open += _step[t];
                if (open + _end[t + 1] < cost)
                {
                    checks--;
                    if (schedule.Allows(move with { From = from, To = t + 1 }))
                    {
                        cost = open + _end[t + 1];
                        best = move with { From = from, To = t + 1 };
                    }
                }
            }
        }
        Evaluations += 4 * problem.Steps;
        return cost;
    }

    private int MinimumUp(in FleetMove move) => Math.Max(
        move.By > 0 ? problem.Types[move.Type].MinimumUp : 1, move.OtherBy > 0 ? problem.Types[move.Other].MinimumUp : 1);

    /// <summary>The cheapest run of at least so many steps, or to the end, by Kadane's recurrence.</summary>
    private double FindShortest(in FleetMove move, int length, out FleetMove best)
    {
        var steps = problem.Steps;
        var cost = 0.0;
        best = move with { From = 0, To = 0 };
        var open = double.PositiveInfinity;     // the cheapest way to have begun, with the steps since
        var from = 0;
        var possibleFrom = 0;                   // the step after the last one at which the change is impossible
        for (var t = 0; t < steps; t++)
        {
            open += _step[t];
            if (double.IsPositiveInfinity(_step[t]))
            {
                possibleFrom = t + 1;
            }
            // A run that began length steps ago may end now; at the end of the horizon any may.
            for (var begin = Math.Max(possibleFrom, t + 1 - length); begin <= (t == steps - 1 ? t : t + 1 - length); begin++)
            {
                var since = _begin[begin];
                for (var s = begin; s <= t; s++)
                {
                    since += _step[s];
                }
                if (since < open)
                {
                    (open, from) = (since, begin);
                }
            }
            if (open + _end[t + 1] < cost)
            {
                cost = open + _end[t + 1];
                best = move with { From = from, To = t + 1 };
            }
        }
        return cost;
    }

    private void Price(in FleetMove move)
    {
        Array.Clear(_step);
        Array.Clear(_begin);
        Array.Clear(_end);
        PriceType(move.Type, move.By);
        var more = move.By * problem.Types[move.Type].Capacity;
        if (move.Other >= 0)
        {
            PriceType(move.Other, move.OtherBy);
            more += move.OtherBy * problem.Types[move.Other].Capacity;
        }
        for (var t = 0; t < _step.Length; t++)
        {
            if (_step[t] < double.PositiveInfinity)
            {
                _step[t] += problem.MissCost(t, schedule.Capacity[t] + more) - schedule.MissCost[t];
            }
        }
    }

    private void PriceType(int type, int by)
    {
        var (price, launch, lead, max) = (problem.Types[type].Price * by, problem.Types[type].LaunchCost, problem.Types[type].Lead, problem.Types[type].Max);
        var row = schedule.Serving(type);
        var before = problem.Types[type].Running;
        for (var t = 0; t < row.Length; t++)
        {
            var count = row[t];
            var growth = count - before;
            var started = Math.Max(0, growth);
            _step[t] += count + by < 0 || (by > 0 && count + by > max) ? double.PositiveInfinity : price;
            _begin[t] += t < lead && growth + by > 0 ? double.PositiveInfinity : launch * (Math.Max(0, growth + by) - started);
            _end[t] += t < lead && growth - by > 0 ? double.PositiveInfinity : launch * (Math.Max(0, growth - by) - started);
            before = count;
        }
    }
}
