using System.Collections.Immutable;

namespace MArk.Serving.Simulation;

/// <summary>A schedule of whole machines for a <see cref="LowerBoundProblem"/>, and what it costs.</summary>
internal sealed class BoundSchedule
{
    private readonly LowerBoundProblem _problem;
    private readonly BoundModel _model;
    private readonly int[][] _counts;       // by offering, by step

    private BoundSchedule(LowerBoundProblem problem, BoundModel model, int[][] counts)
    {
        _problem = problem;
        _model = model;
        _counts = counts;
        var missed = Enumerable.Range(0, model.Steps).Sum(Shortfall);
        var over = Math.Max(0, missed - model.Allowed);
        Spilled = problem.SpilloverPricePerRequest is null ? 0 : over;
        Missed = missed - Spilled;
        Cost = Enumerable.Range(0, counts.Length).Sum(MachineCost) + (problem.SpilloverPricePerRequest ?? 0) * (decimal)Spilled;
    }

    /// <summary>What it costs, US dollars.</summary>
    public decimal Cost { get; }

    /// <summary>Requests neither served nor spilled.</summary>
    public double Missed { get; }

    /// <summary>Requests spilled.</summary>
    public double Spilled { get; }

    /// <summary>Machines of each offering at each step.</summary>
    public ImmutableArray<int>[] Steps => [.. Enumerable.Range(0, _model.Steps).Select(t => Array.ConvertAll(_counts, row => row[t]).ToImmutableArray())];

    /// <summary>A schedule.</summary>
    /// <param name="problem">The problem.</param>
    /// <param name="model">All of it, in numbers.</param>
    /// <param name="types">The types that are used.</param>
    /// <param name="counts">Machines of each of those at each step.</param>
    /// <returns>The schedule, in which nothing is let go that is billed anyway; <see langword="null"/> if it misses more than is allowed, by more than solvers are exact.</returns>
    public static BoundSchedule? Of(LowerBoundProblem problem, BoundModel model, BoundType[] types, int[][] counts)
    {
        var all = Array.ConvertAll(model.Types, _ => new int[model.Steps]);
        for (var i = 0; i < types.Length; i++)
        {
            all[types[i].Offering] = KeptWhileBilled(types[i], counts[i]);
        }
        return InReach(problem, model, all);
    }

    /// <summary>Machines of each of some types at each step.</summary>
    public int[][] CountsOf(BoundType[] types) => Array.ConvertAll(types, type => _counts[type.Offering]);

    /// <summary>A schedule that costs no more: machines launched later and let go earlier, as far as misses are still allowed.</summary>
    public BoundSchedule Trimmed()
    {
        var counts = Array.ConvertAll(_counts, row => (int[])row.Clone());
        var left = _model.Allowed - Missed + BoundModel.Negligible * _model.Total;
        var trimmed = new BoundSchedule(_problem, _model, counts);
        for (; ; )
        {
            var (type, step, most, misses) = (-1, 0, 0.0, 0.0);
            for (var i = 0; i < counts.Length; i++)
            {
                for (var t = 0; t < _model.Steps; t++)
                {
                    var saving = counts[i][t] > 0 ? SavingWithoutOne(i, t, counts[i]) : 0;
                    if (saving <= 0)
                    {
                        continue;
                    }
                    var more = trimmed.Shortfall(t, -_model.Types[i].Capacity) - trimmed.Shortfall(t);
                    var worth = saving / Math.Max(more, BoundModel.Negligible * _model.Total);
                    if (more <= left && worth > most)
                    {
                        (type, step, most, misses) = (i, t, worth, more);
                    }
                }
            }
            if (type < 0)
            {
                return InReach(_problem, _model, counts) is { } result && result.Cost < Cost ? result : this;
            }
            counts[type][step]--;
            left -= misses;
        }
    }

    private static BoundSchedule? InReach(LowerBoundProblem problem, BoundModel model, int[][] counts)
    {
        const double Tolerance = 1e-6;
        var schedule = new BoundSchedule(problem, model, counts);
        return schedule.Missed <= model.Allowed + Tolerance * model.Total ? schedule : null;
    }

    /// <summary>What is saved, US dollars, where one machine fewer serves at a step; types with a minimum of some steps are left as they are.</summary>
    private double SavingWithoutOne(int i, int step, int[] row)
    {
        var type = _model.Types[i];
        if (type.WholeMinimum > 0)
        {
            return 0;
        }
        var before = step == 0 ? type.Initial : row[step - 1];
        var launches = Math.Max(0, row[step] - before) - Math.Max(0, row[step] - 1 - before);
        if (step + 1 < row.Length)
        {
            launches += Math.Max(0, row[step + 1] - row[step]) - Math.Max(0, row[step + 1] - row[step] + 1);
        }
        return type.Price + launches * type.LaunchCost;
    }

    private double Shortfall(int step) => Shortfall(step, 0);

    private double Shortfall(int step, double more)
    {
        var capacity = more;
        for (var i = 0; i < _counts.Length; i++)
        {
            capacity += _model.Types[i].Capacity * _counts[i][step];
        }
        var demand = _model.Demand[step];
        return capacity < demand * (1 - BoundModel.Negligible) ? demand - capacity : 0;
    }

    /// <summary>The same machines, but those that would go and are billed anyway stay.</summary>
    private static int[] KeptWhileBilled(in BoundType type, int[] row)
    {
        var kept = (int[])row.Clone();
        var started = new int[row.Length];
        for (var (t, billed) = (0, 0); t < row.Length; t++)
        {
            // Those that started within the minimum, before this step.
            billed -= type.WholeMinimum <= t && type.WholeMinimum > 0 ? started[t - type.WholeMinimum] : 0;
            kept[t] = Math.Max(row[t], billed);
            started[t] = Math.Max(0, kept[t] - (t == 0 ? type.Initial : kept[t - 1]));
            billed += type.WholeMinimum > 0 ? started[t] : 0;
        }
        return kept;
    }

    /// <summary>What an offering's machines cost: the oldest go first, and each is billed for its minimum at least.</summary>
    private decimal MachineCost(int i)
    {
        var offering = _problem.Offerings[i];
        var (running, initial, row) = (new Queue<(int Since, int Count)>(), _model.Types[i].Initial, _counts[i]);
        var billed = 0m;        // ticks
        for (var t = 0; t <= row.Length; t++)
        {
            var count = t < row.Length ? row[t] : 0;
            var had = initial + running.Sum(r => r.Count);
            var gone = Math.Max(0, had - count);
            var ofInitial = Math.Min(gone, initial);
            initial -= ofInitial;
            billed += (decimal)ofInitial * t * _problem.Step.Ticks;
            for (gone -= ofInitial; gone > 0;)
            {
                var (since, machines) = running.Dequeue();
                var going = Math.Min(gone, machines);
                gone -= going;
                billed += (decimal)going * Math.Max(offering.BilledLaunch.Ticks + (t - since) * _problem.Step.Ticks, offering.MinimumBilling.Ticks);
                if (going < machines)
                {
                    // They were the first of the queue, and stay so.
                    running = new Queue<(int, int)>(running.Prepend((since, machines - going)));
                }
            }
            if (count > had)
            {
                running.Enqueue((t, count - had));
            }
        }
        return offering.PricePerHour * (billed / TimeSpan.TicksPerHour);
    }
}
