using System.Globalization;
using MArk.Serving.Tests.Engine.Stress;

namespace MArk.Serving.Tests.Engine;

/// <summary>
/// The engine under many callers at a time, in a world where everything goes wrong that may: every call ends exactly once, in a way that is legal for it, and
/// nothing is left. To try one seed again, or many new ones:
/// <code>
/// MARK_STRESS_SEED=42 dotnet test --project tests/MArk.Serving.Tests -c Release -- --filter-class MArk.Serving.Tests.Engine.EngineStressTests
/// MARK_STRESS_RUNS=200 (the same)
/// </code>
/// </summary>
public sealed class EngineStressTests(ITestOutputHelper output)
{
    private const string Seed = "MARK_STRESS_SEED";
    private const string Runs = "MARK_STRESS_RUNS";

    [Fact]
    public async Task EveryCallEndsExactlyOnceAndNothingIsLeft()
    {
        var ledgers = new List<RequestLedger>();
        for (var seed = 1; seed <= 12; seed++)
        {
            ledgers.Add(await RunAsync(seed));
        }
        // What these worlds are for did happen in them.
        AssertSome("successes", l => l.Counts.Succeeded);
        AssertSome("cancelled calls", l => l.Counts.Cancelled);
        AssertSome("machines lost", l => l.Losses);
        AssertSome("failures of instances", l => l.InstanceFailures);
        AssertSome("probes", l => l.Probes);
        AssertSome("reloads", l => l.Reloads);
        AssertSome("failed reloads", l => l.FailedReloads);

        void AssertSome(string what, Func<RequestLedger, long> count) => Assert.True(ledgers.Sum(count) > 0, $"there were no {what}");
    }

    [Fact]
    public async Task EveryCallEndsExactlyOnceAndNothingIsLeftForANewSeed()
    {
        if (Number(Seed) is { } seed)
        {
            await RunAsync(seed);
            return;
        }
        var failures = new List<Exception>();
        for (var run = Number(Runs) ?? 1; run > 0; run--)
        {
            var failure = await Record.ExceptionAsync(() => RunAsync(Random.Shared.Next()));
            if (failure is not null)
            {
                failures.Add(failure);
            }
        }
        Assert.True(failures.Count == 0, $"{failures.Count} seeds failed.\n{string.Join('\n', failures.Select(f => f.Message))}");
    }

    private async Task<RequestLedger> RunAsync(int seed)
    {
        var world = new StressWorld(StressSettings.Of(seed));
        // Before it runs: where the process itself goes down, live output names the seed.
        output.WriteLine($"Seed {seed} begins.");
        string wrong;
        try
        {
            wrong = await world.RunAsync();
        }
        catch (Exception e)
        {
            wrong = e.ToString();
        }
        output.WriteLine($"Seed {seed}: {world.Settings.End}; {world.Ledger.Counts}; {world.Ledger.Losses} machines lost, "
            + $"{world.Ledger.InstanceFailures} failed, {world.Ledger.Probes} probed; {world.Ledger.Reloads} reloads, and {world.Ledger.FailedReloads} that failed");
        Assert.True(wrong.Length == 0, $"Seed {seed}; {Seed}={seed} tries it again.\n{wrong}");
        return world.Ledger;
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;
}
