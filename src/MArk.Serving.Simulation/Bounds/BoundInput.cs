using System.Globalization;

namespace MArk.Serving.Simulation;

/// <summary>Checks what <see cref="LowerBound"/> is given.</summary>
internal static class BoundInput
{
    private const int MaxSteps = 100_000;
    private const double MaxNumber = 1e12;
    private const decimal MaxPrice = 1e6m;

    private static readonly TimeSpan MaxStep = TimeSpan.FromDays(1);
    private static readonly TimeSpan MaxBilled = TimeSpan.FromDays(365);

    /// <exception cref="LowerBoundProblemException">Something is outside its range, or the service level is out of reach; says what and what is accepted.</exception>
    public static void Check(LowerBoundProblem problem)
    {
        Require(problem.Step > TimeSpan.Zero && problem.Step <= MaxStep, nameof(problem.Step), $"{problem.Step}; accepted is more than 00:00:00 and at most {MaxStep}.");
        Require(problem.ServiceLevel is > 0 and <= 1, nameof(problem.ServiceLevel), $"{problem.ServiceLevel}; accepted is more than 0 and at most 1.");
        Require(problem.SpilloverPricePerRequest is null or (>= 0 and <= MaxPrice), nameof(problem.SpilloverPricePerRequest),
            $"{problem.SpilloverPricePerRequest} dollars; accepted is 0 to {MaxPrice}, or nothing.");
        CheckRequests(problem);
        CheckOfferings(problem);
        CheckInitial(problem);
        CheckReach(problem);
    }

    private static void CheckRequests(LowerBoundProblem problem)
    {
        const string Input = nameof(problem.Requests);
        Require(problem.Requests is { Count: > 0 and <= MaxSteps }, Input, $"there are {problem.Requests?.Count ?? 0} steps; accepted are 1 to {MaxSteps}.");
        for (var t = 0; t < problem.Requests!.Count; t++)
        {
            Require(problem.Requests[t] is >= 0 and <= MaxNumber, Input, $"step {t} has {problem.Requests[t]}; accepted is 0 to {MaxNumber}.");
        }
    }

    private static void CheckOfferings(LowerBoundProblem problem)
    {
        const string Input = nameof(problem.Offerings);
        Require(problem.Offerings is { Count: > 0 }, Input, $"there are none; accepted is at least 1.");
        var names = new HashSet<string>();
        foreach (var offering in problem.Offerings!)
        {
            Require(!string.IsNullOrEmpty(offering?.Name), Input, $"one is missing or has no name; accepted are offerings with names.");
            var name = offering!.Name;
            Require(names.Add(name), Input, $"'{name}' is there twice; accepted are names that are unique.");
            Require(offering.PricePerHour is >= 0 and <= MaxPrice, Input, $"'{name}' costs {offering.PricePerHour} dollars an hour; accepted is 0 to {MaxPrice}.");
            Require(offering.Throughput is >= 0 and <= MaxNumber, Input, $"'{name}' serves {offering.Throughput} requests/s; accepted is 0 to {MaxNumber}.");
            Require(offering.BilledLaunch >= TimeSpan.Zero && offering.BilledLaunch <= MaxBilled, Input, $"'{name}' has a billed launch of {offering.BilledLaunch}; accepted is 00:00:00 to {MaxBilled}.");
            Require(offering.MinimumBilling >= TimeSpan.Zero && offering.MinimumBilling <= MaxBilled, Input, $"'{name}' has a minimum billing of {offering.MinimumBilling}; accepted is 00:00:00 to {MaxBilled}.");
            Require(offering.MaxInstances >= 0, Input, $"'{name}' has at most {offering.MaxInstances} machines; accepted is 0 or more.");
        }
        Require(problem.Offerings.Any(o => o.Throughput > 0 && o.MaxInstances > 0), Input,
            $"'{string.Join("', '", names)}' serve nothing; accepted is at least one with a throughput of more than 0 and a maximum of more than 0.");
    }

    private static void CheckInitial(LowerBoundProblem problem)
    {
        const string Input = nameof(problem.Initial);
        if (problem.Initial is not { } initial)
        {
            return;
        }
        Require(initial.Count == problem.Offerings.Count, Input, $"there are {initial.Count} numbers; accepted is one for each of the {problem.Offerings.Count} offerings, or nothing.");
        for (var i = 0; i < initial.Count; i++)
        {
            var offering = problem.Offerings[i];
            Require(initial[i] >= 0 && initial[i] <= offering.MaxInstances, Input, $"{initial[i]} of '{offering.Name}'; accepted is 0 to its maximum, {offering.MaxInstances}.");
        }
    }

    private static void CheckReach(LowerBoundProblem problem)
    {
        if (problem.SpilloverPricePerRequest is not null)
        {
            return;
        }
        var most = problem.Offerings.Sum(o => o.Throughput * o.MaxInstances);
        var beyond = problem.Requests.Sum(r => Math.Max(0, r - most * problem.Step.TotalSeconds));
        var total = problem.Requests.Sum();
        var allowed = BoundModel.AllowedMisses(problem.ServiceLevel, total);
        Require(beyond <= allowed + BoundModel.Negligible * total, nameof(problem.Offerings),
            $"all their machines serve {most:0.###} requests/s, which leaves {beyond:0.###} requests of {total:0.###}; accepted are at most {allowed:0.###} left, by the service level of {problem.ServiceLevel}, or a spillover price.");
    }

    private static void Require(bool holds, string input, FormattableString message)
    {
        if (!holds)
        {
            throw new LowerBoundProblemException(input, message.ToString(CultureInfo.InvariantCulture));
        }
    }
}
