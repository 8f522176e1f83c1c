using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Simulation.Tests;

/// <summary>What the simulated world does to machines and to spilled requests, and what it writes down.</summary>
public sealed class WorldTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private static TimeSpan Minutes(double minutes) => TimeSpan.FromMinutes(minutes);

    // A dollar a 1000 s; a request takes 10 ms, alone.
    private static SimulatedInstance Kind(InstanceMarket market = InstanceMarket.OnDemand, double unbilled = 0, double noise = 0) =>
        new(new InstanceOffering { Name = "d", Market = market, PricePerHour = 3.6m, LaunchDelay = Seconds(100) }, LatencyProfile.Linear(Ms(5), Ms(5), 1))
        {
            UnbilledLaunch = Seconds(unbilled),
            LaunchDelayNoise = noise,
        };

    private static SimulationSettings Settings(SimulatedInstance kind, IProvisioningPlanner planner, double minutes = 60, int start = 0) => new()
    {
        Slo = Seconds(2),
        MaxBatchSize = 1,
        CreatePolicy = _ => new NoBatchingPolicy(),
        Fleet = [.. Enumerable.Repeat(kind, start)],
        Duration = Minutes(minutes),
        Seed = 1,
        Scaling = new SimulatedScaling
        {
            Offerings = [kind],
            CreatePredictor = () => new MovingMaximumPredictor(Seconds(60)),
            CreatePlanner = () => planner,
            Options = new FleetOptions { MinInstances = 0, ScaleInCooldown = TimeSpan.Zero },
        },
    };

    [Fact]
    public void TheFirstPartOfALaunchIsNotBilled()
    {
        var result = ServingSimulator.Run(Settings(Kind(unbilled: 40), new StaticPlanner(1)), []);
        Assert.Equal(3.560m, result.InstanceCost);
        Assert.Equal(3.600m, ServingSimulator.Run(Settings(Kind(), new StaticPlanner(1)), []).InstanceCost);
    }

    [Fact]
    public void PricesAndQuotasOfTheSettingsHoldAsForALiveFleet()
    {
        var settings = Settings(Kind(), new StaticPlanner(3));
        settings.Scaling!.Options.Offerings["d"] = new OfferingOptions { PricePerHour = 36, MaxInstances = 2 };
        var result = ServingSimulator.Run(settings, []);
        Assert.Equal((2, 72m), (result.Launched, result.InstanceCost));
        settings.Scaling.Options.Offerings["e"] = new OfferingOptions();
        Assert.Contains("Fleet:Offerings has 'e'; accepted: 'd'", Assert.Throws<OptionsValidationException>(() => ServingSimulator.Run(settings, [])).Message);
    }

    [Fact]
    public void ALaunchThatIsEndedBeforeItIsBilledCostsNothing() =>
        Assert.Equal(0, ServingSimulator.Run(Settings(Kind(unbilled: 40), new StaticPlanner(1), minutes: 0.5), []).InstanceCost);

    [Fact]
    public void LaunchesTakeAsLongAsTheyVary()
    {
        // Instances that serve, over an hour: each is late by its launch.
        double Late(double noise, int seed)
        {
            var settings = Settings(Kind(noise: noise), new StaticPlanner(50)) with { HistoryStep = Minutes(60), Seed = seed };
            return (50 - Assert.Single(ServingSimulator.Run(settings, []).History).Serving[0]) * 3600 / 50;
        }
        Assert.Equal(100, Late(0, 1), 6);
        Assert.NotEqual(Late(0.5, 1), Late(0.5, 2));
        Assert.InRange(Enumerable.Range(1, 20).Average(seed => Late(0.5, seed)), 95, 105);
    }

    [Fact]
    public void AShareOfTheSpotMachinesIsTakenAwayAtOnce()
    {
        var settings = Settings(Kind(InstanceMarket.Spot), new StaticPlanner(5), minutes: 20, start: 5);
        var result = ServingSimulator.Run(
            settings with { Scaling = settings.Scaling! with { SpotLosses = [new SpotLoss(Minutes(7), 0.5)] }, HistoryStep = Minutes(1) }, []);
        Assert.Equal(3, result.Interruptions);
        Assert.Equal(5, result.History[6].Serving[0]);
        // They get nothing more to do from the notice on, and are replaced 100 s later.
        Assert.Equal(2, result.History[7].Serving[0]);
        Assert.Equal(5, result.History[9].Serving[0]);
    }

    [Fact]
    public void MachinesThatCrashAreReplacedAndWhatTheyHadIsServedElsewhere()
    {
        var settings = Settings(Kind(), new StaticPlanner(4), start: 4);
        var result = ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { CrashesPerHour = 5 } }, Workloads.Constant(Minutes(60), 50).Arrivals(1));
        Assert.InRange(result.Launched - 4, 8, 35);
        Assert.Equal((0L, 0L), (result.Interruptions, result.Rejected));
        Assert.True(result.SloAttainment > 0.9, $"{result.SloAttainment}");
    }

    [Fact]
    public void ASpilledRequestIsColdUnlessAnEnvironmentIsWarm()
    {
        var spillover = new SimulatedSpillover(Ms(20), 0.25m, 2) { ColdLatency = Seconds(1), EnvironmentLifetime = Minutes(10) };
        var settings = Settings(Kind(), new StaticPlanner(0)) with { Spillover = spillover };
        // Cold; warm; cold, as the warm one is busy; two warm; and cold again after the lifetime.
        TimeSpan[] arrivals = [Seconds(0), Seconds(5), Seconds(5.01), Seconds(10), Seconds(10.01), Minutes(30)];
        var result = ServingSimulator.Run(settings, arrivals);
        Assert.Equal((6L, 6L, 3L, 1.5m), (result.Spilled, result.InTime, result.ColdStarts, result.SpilloverCost));
        Assert.Equal([0.5, 0], result.LatencyTail.Select(point => point.ShareAbove));
        Assert.InRange(result.LatencyTail[0].Latency.TotalMilliseconds, 20, 20.6);
    }

    [Fact]
    public void OneStepOfTheHistoryAddsUpToTheResult()
    {
        var settings = Settings(Kind(), new StaticPlanner(2), minutes: 10) with { HistoryStep = Minutes(1), Spillover = new SimulatedSpillover(Ms(20), 0.25m, 100) };
        var result = ServingSimulator.Run(settings, Workloads.Constant(Minutes(10), 150).Arrivals(1));
        // What runs at the end may end a little later.
        Assert.InRange(result.History.Count, 10, 11);
        Assert.Equal(result.Requests, result.History.Sum(step => step.Arrivals));
        Assert.Equal(result.InTime, result.History.Sum(step => step.InTime));
        Assert.Equal(result.Spilled, result.History.Sum(step => step.Spilled));
        Assert.Equal((result.InstanceCost, result.SpilloverCost), (result.History[^1].InstanceCost, result.History[^1].SpilloverCost));
        Assert.Equal([0.0, 2 * 20.0 / 60, 2.0], result.History.Take(3).Select(step => step.Serving[0]));
        Assert.Equal(200, result.History[5].Capacity[0], 6);
        Assert.Equal(["d"], result.Offerings);
        // What was forecast before the step began, of what came before.
        Assert.InRange(result.History[5].Forecast!.Value.High, 150, 250);
    }

    private sealed class Watcher : IProvisioningPlanner, IFleetObserver
    {
        public List<FleetObservation> Seen { get; } = [];

        public void Observe(in FleetObservation observation) => Seen.Add(observation);

        public void Plan(in ProvisioningContext context, FleetPlan plan) => plan.Step(0).Fill(3);
    }

    [Fact]
    public void AnObserverIsToldWhatAMonitoringSystemWouldSee()
    {
        var watcher = new Watcher();
        var result = ServingSimulator.Run(Settings(Kind(), watcher, start: 3), Workloads.Constant(Minutes(60), 120).Arrivals(1));
        Assert.Equal(720, watcher.Seen.Count);
        Assert.Equal(result.Requests, watcher.Seen.Sum(slot => slot.Arrivals));
        Assert.All(watcher.Seen.Zip(watcher.Seen.Skip(1)), pair => Assert.Equal(pair.First.Start + pair.First.Length, pair.Second.Start));
        Assert.All(watcher.Seen, slot => Assert.Equal(3, slot.MeanReady));
        // Little's law: at 0.4 of the capacity hardly any waits, and each takes 10 ms.
        Assert.InRange(watcher.Seen.Average(slot => slot.MeanConcurrency), 1.2, 1.35);
        Assert.InRange(watcher.Seen.Sum(slot => slot.Completions), result.Requests - 5, result.Requests);
    }

    [Fact]
    public void TheSameSeedGivesTheSameBytes()
    {
        string Run(int seed)
        {
            var settings = Settings(Kind(InstanceMarket.Spot, unbilled: 40, noise: 0.3), new StaticPlanner(3), start: 3) with
            {
                Seed = seed,
                LatencyNoise = 0.2,
                HistoryStep = Minutes(1),
                Spillover = new SimulatedSpillover(Ms(20), 0.25m, 100) { ColdLatency = Seconds(1) },
            };
            return Bytes.Of(ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { CrashesPerHour = 2 } }, Workloads.Constant(Minutes(60), 150).Arrivals(seed)));
        }
        Assert.Equal(Run(1), Run(1));
        Assert.NotEqual(Run(1), Run(2));
    }

    [Fact]
    public void BadWorldsAreNamed()
    {
        var good = Settings(Kind(), new StaticPlanner(1));
        var spillover = new SimulatedSpillover(Ms(20), 0.25m, 100);
        void Refuses(string message, SimulationSettings settings) => Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => ServingSimulator.Run(settings, [])).Message);
        Refuses("WhenUnreachable is Spill; accepted: ServeLate, Reject, and with Spillover Spill", good with { Spillover = null, WhenUnreachable = WhenUnreachable.Spill });
        Refuses("HistoryStep is 00:00:00; accepted: more than 00:00:00", good with { HistoryStep = TimeSpan.Zero });
        Refuses("ServiceLevel is 1; accepted: more than 0, less than 1", good with { ServiceLevel = 1 });
        Refuses("UnbilledLaunch of 'd' is 00:01:41; accepted: 00:00:00 to its launch delay, 00:01:40", Settings(Kind(unbilled: 101), new StaticPlanner(1)));
        Refuses("LaunchDelayNoise of 'd' is NaN; accepted: 0 to 2", Settings(Kind(noise: double.NaN), new StaticPlanner(1)));
        Refuses("CrashesPerHour is -1; accepted: a finite number of 0 or more", good with { Scaling = good.Scaling! with { CrashesPerHour = -1 } });
        Refuses("SpotLosses is ", good with { Scaling = good.Scaling with { SpotLosses = [new SpotLoss(Minutes(1), 1.5)] } });
        Refuses("Spillover.ColdLatency is 00:00:00.0100000; accepted: Latency, 00:00:00.0200000, or more", good with { Spillover = spillover with { ColdLatency = Ms(10) } });
        Refuses("Spillover.MaxConcurrency is 0; accepted: at least 1", good with { Spillover = spillover with { MaxConcurrency = 0 } });
    }

    [Theory]
    [InlineData("", "the header is ''; expected is 'offset_s,share'.")]
    [InlineData("a,b\n", "line 1: the header is 'a,b'; expected is 'offset_s,share'.")]
    [InlineData("offset_s,share\n60\n", "line 2: '60' is not two numbers, 'offset_s,share'.")]
    [InlineData("offset_s,share\n60,0.5\n-1,0.5\n", "line 3: the offset is -1 and the share 0.5; expected are a finite number of at least 0, and one of more than 0 and at most 1.")]
    [InlineData("offset_s,share\n60,1.5\n", "line 2: the offset is 60 and the share 1.5; expected are a finite number of at least 0, and one of more than 0 and at most 1.")]
    public void ABadListOfLossesIsNamed(string text, string message)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            Assert.Contains(message, Assert.Throws<TraceFormatException>(() => SpotLoss.Load(path)).Message);
            File.WriteAllText(path, "offset_s,share\n420,0.2\n840,1\n");
            Assert.Equal([new SpotLoss(Minutes(7), 0.2), new SpotLoss(Minutes(14), 1)], SpotLoss.Load(path));
        }
        finally
        {
            File.Delete(path);
        }
        Assert.Contains("cannot be read", Assert.Throws<TraceFormatException>(() => SpotLoss.Load(path)).Message);
    }
}
