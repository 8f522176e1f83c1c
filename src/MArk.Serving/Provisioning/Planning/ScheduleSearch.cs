namespace MArk.Serving.Provisioning.Planning;

/// <summary>
/// Searches a <see cref="FleetProblem"/> for a schedule of low cost: from the running fleet down, by changes of one type's count over an
/// interval and by exchanges of one type for another, in strides that halve, these first or those; then, as long as its budget lasts, from
/// shaken copies of the best (iterated local search). The budget counts evaluated steps, so that the same problem gives the same schedule on any machine.
/// </summary>
internal sealed class ScheduleSearch
{
    private const int MaxCandidates = 8;
    private const double LargeRatio = 1.5;      // of capacities: below it, an instance more or less is tried alone

    private readonly FleetProblem _problem;
    private readonly FleetSchedule _schedule;
    private readonly MoveFinder _finder;
    private readonly Random _random;
    private readonly long _budget;
    private readonly int[] _candidates;     // types worth launching, the cheapest a request first
    private readonly double[] _meanDemand;  // by step
    private readonly double _least;         // a saving below this is none
    private int[] _best = [];
    private double _bestCost;

    public ScheduleSearch(FleetProblem problem, long budget, int seed)
    {
        _problem = problem;
        _budget = budget;
        _random = new Random(seed);
        _schedule = new FleetSchedule(problem);
        _finder = new MoveFinder(problem, _schedule);
        _candidates = [.. Enumerable.Range(0, problem.Types.Length).OrderBy(problem.CostOfACapacity).Take(MaxCandidates)];
        _meanDemand = [.. Enumerable.Range(0, problem.Steps).Select(problem.MeanDemand)];
        _least = 1e-9 * Math.Max(problem.Cost(_schedule.All).Total, double.Epsilon);
    }

    public FleetSchedule Run()
    {
        MeetBounds();
        var running = _schedule.All.ToArray();
        ExchangeWhole();
        Descend(Math.Min(8, LargestStride()), Order.SinglesFirst);
        _best = _schedule.All.ToArray();
        _bestCost = _problem.Cost(_best).Total;
        // What is surplus and goes first may have been what an exchange needs.
        _schedule.Restore(running);
        Descend(Math.Min(8, LargestStride()), Order.ExchangesFirst | Order.ForNeed);
        KeepBest();
        if (ExchangeForNeed())
        {
            Descend(1, Order.ForNeed);
            KeepBest();
        }
        while (_finder.Evaluations < _budget)
        {
            Shake();
            Descend(2, (Order)_random.Next(16));
            KeepBest();
        }
        return _schedule;
    }

    private void KeepBest()
    {
        var cost = _problem.Cost(_schedule.All).Total;
        if (cost < _bestCost - _least)
        {
            _bestCost = cost;
            _schedule.All.CopyTo(_best);
        }
        else
        {
            _schedule.Restore(_best);
        }
    }

    private int LargestStride()
    {
        var most = 1;
        for (var t = 0; t < _problem.Steps; t++)
        {
            for (var i = 0; i < _problem.Points; i++)
            {
                most = Math.Max(most, (int)Math.Min(1 << 20, _problem.Demand(t, i) / _problem.Types.Min(k => k.Capacity)));
            }
        }
        return 1 << Math.Max(0, (int)Math.Log2(most) - 1);
    }

    /// <summary>Lets go what is over a maximum or the budget, and launches what is under the minimum.</summary>
    private void MeetBounds()
    {
        for (var k = 0; k < _problem.Types.Length; k++)
        {
            _schedule.LetGo(k, Math.Max(0, _problem.Types[k].Running - _problem.Types[k].Max));
        }
        foreach (var k in Enumerable.Range(0, _problem.Types.Length).OrderByDescending(_problem.CostOfACapacity))
        {
            while (_schedule.Serving(k)[0] > 0 && (_schedule.ActiveTotal[0] > _problem.MaxInstances || _schedule.Spend[0] > _problem.MaxSpend))
            {
                _schedule.LetGo(k, 1);
            }
        }
        var byPrice = Enumerable.Range(0, _problem.Types.Length).OrderBy(k => _problem.Types[k].Billed).ToArray();
        FillMinimum(byPrice);
        // The budget may be taken up by few that are dear: they make room for the cheapest.
        for (var i = byPrice.Length - 1; i > 0 && _schedule.ActiveTotal[0] < _problem.MinInstances; i--)
        {
            while (_schedule.Serving(byPrice[i])[0] > 0 && _schedule.ActiveTotal[0] < _problem.MinInstances)
            {
                _schedule.LetGo(byPrice[i], 1);
                FillMinimum(byPrice);
            }
        }
    }

    private void FillMinimum(int[] byPrice)
    {
        foreach (var k in byPrice)
        {
            var from = Math.Min(_problem.Types[k].Lead, _problem.Steps - 1);
            while (_schedule.ActiveTotal[0] < _problem.MinInstances && _schedule.TryApply(new FleetMove(k, 1, -1, 0, from, _problem.Steps)))
            {
                // One more.
            }
        }
    }

    /// <summary>Down to where no move saves anything.</summary>
    /// <param name="stride">The largest change of a count to begin with.</param>
    /// <param name="order">Which moves come first: what one of them leaves undone depends on it.</param>
    private void Descend(int stride, Order order)
    {
        for (; stride >= 1; stride /= 2)
        {
            var improved = true;
            var sweeps = 0;
            while (improved && (stride == 1 || sweeps < 1))
            {
                sweeps++;
                improved = order.HasFlag(Order.ExchangesFirst)
                    ? TryExchanges(stride, order) | TrySingles(stride, order.HasFlag(Order.Reversed))
                    : TrySingles(stride, order.HasFlag(Order.Reversed)) | TryExchanges(stride, order);
            }
        }
    }

    private bool TrySingles(int stride, bool isReversed)
    {
        var improved = false;
        for (var i = 0; i < _problem.Types.Length; i++)
        {
            var k = isReversed ? _problem.Types.Length - 1 - i : i;
            improved |= Try(new FleetMove(k, stride, -1, 0, 0, 0));
            improved |= Try(new FleetMove(k, -stride, -1, 0, 0, 0));
        }
        return improved;
    }

    private bool TryExchanges(int stride, Order order)
    {
        var improved = false;
        for (var j = 0; j < _problem.Types.Length; j++)
        {
            foreach (var k in _candidates)
            {
                if (j != k)
                {
                    improved |= TryExchange(j, k, stride) | (order.HasFlag(Order.ForNeed) && TryExchangeForNeed(j, k)) | TryExchangeWithinBounds(j, k, stride, order);
                }
            }
        }
        return improved;
    }

    /// <summary>Everything of a type for another, the type that is dearest to keep first.</summary>
    private void ExchangeWhole()
    {
        foreach (var j in Enumerable.Range(0, _problem.Types.Length).OrderByDescending(k => _problem.Types[k].Price / _problem.Types[k].Capacity))
        {
            Try(new FleetMove(j, -Math.Max(1, _schedule.Most(j)), -1, 0, 0, 0));
            foreach (var k in _candidates)
            {
                if (j != k && _schedule.Most(j) > 0)
                {
                    var gone = _schedule.Most(j);
                    Try(Exchange(j, gone, k, (int)Math.Round(gone * _problem.Types[j].Capacity / _problem.Types[k].Capacity)));
                }
            }
        }
    }

    private bool TryExchange(int from, int to, int stride)
    {
        var ratio = _problem.Types[from].Capacity / _problem.Types[to].Capacity;
        var (gone, come) = ratio >= 1 ? (stride, stride * ratio) : (stride / ratio, (double)stride);
        return (ratio >= 1 ? Try(Exchange(from, stride, to, (int)Math.Floor(come))) : Try(Exchange(from, (int)Math.Floor(gone), to, stride)))
            | (ratio >= 1 ? Try(Exchange(from, stride, to, (int)Math.Ceiling(come))) : Try(Exchange(from, (int)Math.Ceiling(gone), to, stride)));
    }

    /// <summary>Not all of a large instance may be needed: small ones are had for it, as many as the mean demand needs without it.</summary>
    private bool ExchangeForNeed()
    {
        var improved = false;
        for (var j = 0; j < _problem.Types.Length; j++)
        {
            foreach (var k in _candidates)
            {
                improved |= j != k && TryExchangeForNeed(j, k);
            }
        }
        return improved;
    }

    /// <summary>One instance for as many of another type as are needed over the horizon on average, or at most.</summary>
    private bool TryExchangeForNeed(int from, int to)
    {
        var ratio = _problem.Types[from].Capacity / _problem.Types[to].Capacity;
        if (ratio < LargeRatio || _schedule.Most(from) < 1)
        {
            return false;
        }
        var (sum, most) = (0.0, 0.0);
        for (var t = 0; t < _problem.Steps; t++)
        {
            var need = Math.Max(0, _meanDemand[t] - _schedule.Capacity[t] + _problem.Types[from].Capacity);
            sum += need;
            most = Math.Max(most, need);
        }
        var (onAverage, atMost) = ((int)Math.Ceiling(sum / _problem.Steps / _problem.Types[to].Capacity), (int)Math.Ceiling(most / _problem.Types[to].Capacity));
        return (onAverage < ratio && Try(Exchange(from, 1, to, onAverage))) | (atMost > onAverage && atMost < ratio && Try(Exchange(from, 1, to, atMost)));
    }

    /// <summary>Where no more instances may be had, one may be had for one of less capacity; where no more may be spent, as many as cost no more.</summary>
    private bool TryExchangeWithinBounds(int from, int to, int stride, Order order)
    {
        var improved = (_problem.MaxInstances < int.MaxValue || order.HasFlag(Order.OneForOne)) && Try(Exchange(from, stride, to, stride));
        if (double.IsFinite(_problem.MaxSpend))
        {
            var ratio = _problem.Types[from].Billed / _problem.Types[to].Billed;
            improved |= ratio >= 1 ? Try(Exchange(from, stride, to, (int)Math.Min(1 << 20, stride * ratio))) : Try(Exchange(from, (int)Math.Min(1 << 20, Math.Ceiling(stride / ratio)), to, stride));
        }
        return improved;
    }

    private static FleetMove Exchange(int from, int gone, int to, int come) => new(from, -gone, to, come, 0, 0);

    /// <summary>Makes a change over the interval where it saves most, and again twice as large while that saves.</summary>
    private bool Try(FleetMove move)
    {
        var improved = false;
        while (TryOnce(move))
        {
            improved = true;
            move = move with { By = 2 * move.By, OtherBy = 2 * move.OtherBy };
        }
        return improved;
    }

    private bool TryOnce(in FleetMove move) =>
        move.By + _schedule.Most(move.Type) >= 0 && _finder.Evaluations < _budget && _finder.Find(move, out var best) < -_least && _schedule.TryApply(best);

    /// <summary>A few changes at random, half of them from the first step that is possible, half of them to the end.</summary>
    private void Shake()
    {
        for (var tries = 0; tries < 3; tries++)
        {
            var type = _random.Next(_problem.Types.Length);
            var by = (_random.Next(2) == 0 ? 1 : -1) * (1 + _random.Next(2));
            var first = by > 0 ? Math.Min(_problem.Types[type].Lead, _problem.Steps - 1) : 0;
            var from = _random.Next(2) == 0 ? first : _random.Next(first, _problem.Steps);
            var to = _random.Next(2) == 0 ? _problem.Steps : _random.Next(from, _problem.Steps) + 1;
            _schedule.TryApply(new FleetMove(type, by, -1, 0, from, to));
        }
    }

    [Flags]
    private enum Order
    {
        SinglesFirst = 0,
        ExchangesFirst = 1,
        Reversed = 2,

        /// <summary>One instance for one besides as many as have the same capacity, since it need not all be needed.</summary>
        OneForOne = 4,

        /// <summary>Fewer instances than have the same capacity, too, where they do for what is needed.</summary>
        ForNeed = 8,
    }
}
