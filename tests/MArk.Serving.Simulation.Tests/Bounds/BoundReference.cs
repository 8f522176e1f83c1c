namespace MArk.Serving.Simulation.Tests;

/// <summary>What schedules cost, machine by machine, and the optimum of tiny problems by trying every schedule: written apart from what it checks.</summary>
internal static class BoundReference
{
    public static TimeSpan Minute { get; } = TimeSpan.FromMinutes(1);

    /// <summary>A machine of a price an hour that serves so many requests a minute.</summary>
    public static BoundOffering Offering(string name, decimal price, double perMinute, double launchMinutes = 0, double minimumMinutes = 0, int max = int.MaxValue) =>
        new(name, price, perMinute / 60, launchMinutes * Minute, minimumMinutes * Minute, max);

    /// <summary>A problem in steps of a minute.</summary>
    public static LowerBoundProblem Problem(double[] requests, double serviceLevel, params BoundOffering[] offerings) =>
        new() { Requests = requests, Step = Minute, Offerings = offerings, ServiceLevel = serviceLevel };

    public static LowerBoundResult Solve(LowerBoundProblem problem) => LowerBound.Solve(problem, TimeSpan.FromMinutes(1));

    /// <summary>Bounds that need not be near each other.</summary>
    public static LowerBoundResult SolveSoon(LowerBoundProblem problem) => LowerBound.Solve(problem, TimeSpan.FromSeconds(1));

    /// <summary>The cost of a schedule, US dollars; infinite if it misses more than is allowed and nothing is spilled.</summary>
    /// <param name="problem">The problem.</param>
    /// <param name="count">How many machines of an offering serve at a step.</param>
    public static double Cost(LowerBoundProblem problem, Func<int, int, int> count)
    {
        var steps = problem.Requests.Count;
        double cost = 0, missed = 0;
        for (var t = 0; t < steps; t++)
        {
            var capacity = problem.Offerings.Select((o, i) => count(i, t) * o.Throughput * problem.Step.TotalSeconds).Sum();
            missed += Math.Max(0, problem.Requests[t] - capacity);
        }
        for (var i = 0; i < problem.Offerings.Count; i++)
        {
            // The birth of each machine that serves, the oldest first; those of the start have none.
            var machines = new List<int?>(Enumerable.Repeat<int?>(null, problem.Initial?[i] ?? 0));
            var billed = TimeSpan.Zero;
            for (var t = 0; t <= steps; t++)
            {
                var wanted = t < steps ? count(i, t) : 0;
                while (machines.Count > wanted)
                {
                    billed += Billed(problem.Offerings[i], machines[0] is { } born ? (t - born) * problem.Step : null, t * problem.Step);
                    machines.RemoveAt(0);
                }
                while (machines.Count < wanted)
                {
                    machines.Add(t);
                }
            }
            cost += billed.TotalHours * (double)problem.Offerings[i].PricePerHour;
        }
        var allowed = problem.Requests.Sum() * (1 - problem.ServiceLevel);
        if (missed <= allowed * (1 + 1e-9) + 1e-9)
        {
            return cost;
        }
        return problem.SpilloverPricePerRequest is { } price ? cost + (missed - allowed) * (double)price : double.PositiveInfinity;
    }

    private static TimeSpan Billed(BoundOffering offering, TimeSpan? served, TimeSpan sinceStart)
    {
        if (served is not { } time)
        {
            return sinceStart;
        }
        var all = offering.BilledLaunch + time;
        return all > offering.MinimumBilling ? all : offering.MinimumBilling;
    }

    /// <summary>The cost of a result's schedule.</summary>
    public static double Cost(LowerBoundProblem problem, LowerBoundResult result) => Cost(problem, (i, t) => result.Schedule[t][i]);

    /// <summary>The least cost of all schedules; infinite if none is possible.</summary>
    public static double Least(LowerBoundProblem problem)
    {
        var (steps, types) = (problem.Requests.Count, problem.Offerings.Count);
        var digits = new int[steps * types];
        var least = double.PositiveInfinity;
        int place;
        do
        {
            least = Math.Min(least, Cost(problem, (i, t) => digits[t * types + i]));
            for (place = 0; place < digits.Length && digits[place] == problem.Offerings[place % types].MaxInstances; place++)
            {
                digits[place] = 0;
            }
            if (place < digits.Length)
            {
                digits[place]++;
            }
        }
        while (place < digits.Length);
        return least;
    }

    /// <summary>A day of one-minute steps whose rate rises from a valley to four times as much, with noise of 5 %.</summary>
    /// <param name="steps">How many steps the day has.</param>
    /// <param name="peak">The requests of its highest minute, about.</param>
    /// <param name="seed">Seeds the noise.</param>
    public static double[] Day(int steps, double peak, int seed)
    {
        var random = new Random(seed);
        var (day, noise) = (new double[steps], 0.0);
        for (var t = 0; t < steps; t++)
        {
            noise = 0.9 * noise + Math.Sqrt(1 - 0.81) * 0.05 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            day[t] = peak * (0.625 - 0.375 * Math.Cos(2 * Math.PI * t / steps)) * (1 + noise);
        }
        return day;
    }
}
