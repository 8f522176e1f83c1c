using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Tests;

public sealed class FleetSimulationTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    // T_b = 5 + 0.5 b ms; with an SLO of 50 ms an instance does 32 in 21 ms, 1524/s. A dollar a 1000 s.
    private static readonly SimulatedInstance Kind = new(
        new InstanceOffering { Name = "d", PricePerHour = 3.6m, LaunchDelay = Seconds(2) }, LatencyProfile.Linear(Ms(5), Ms(0.5), 32));

    private static SimulationSettings Settings(int start = 1, int min = 1, IProvisioningPlanner? planner = null, SimulatedSpillover? spillover = null) => new()
    {
        Slo = Ms(50),
        CreatePolicy = _ => new SloAwareBatchPolicy(),
        Fleet = [.. Enumerable.Repeat(Kind, start)],
        Spillover = spillover,
        Scaling = new SimulatedScaling
        {
            Offerings = [Kind],
            CreatePredictor = () => new MovingMaximumPredictor(Seconds(10), headroom: 1.3),
            CreatePlanner = () => planner ?? new GreedyPlanner(),
            Options = new FleetOptions { SampleInterval = Seconds(0.5), PlanInterval = Seconds(1), Horizon = 5, MinInstances = min, ScaleInCooldown = Seconds(10) },
        },
        Seed = 1,
    };

    private static IEnumerable<TimeSpan> Ramp(double from, double to, double seconds, int seed = 1)
    {
        var random = new Random(seed);
        for (var t = 0.0; (t += -Math.Log(1 - random.NextDouble()) / (from + (to - from) * t / seconds)) < seconds;)
        {
            yield return Seconds(t);
        }
    }

    [Fact]
    public void TheFleetGrowsAheadOfARampAndKeepsTheObjective()
    {
        var arrivals = Ramp(200, 4000, 120).ToList();
        var scaled = ServingSimulator.Run(Settings(), arrivals);
        var fixedOne = ServingSimulator.Run(Settings() with { Scaling = null }, arrivals);
        var fixedPeak = ServingSimulator.Run(Settings(start: 4) with { Scaling = null }, arrivals);
        Assert.True(scaled.SloAttainment > 0.999, $"{scaled.SloAttainment}");
        Assert.True(fixedOne.SloAttainment < 0.8, $"{fixedOne.SloAttainment}");
        Assert.InRange(scaled.PeakInstances, 3, 4);
        Assert.True(scaled.TotalCost < 0.8m * fixedPeak.TotalCost, $"{scaled.TotalCost} of {fixedPeak.TotalCost}");
    }

    private sealed class TrainedPredictor : IWorkloadPredictor, ITrainable, ITrainingJob
    {
        private readonly MovingMaximumPredictor _inner = new(Seconds(10), headroom: 1.3);
        private bool _isDue = true;
        private bool _isTrained;
        private bool _isApplied;

        public int ForecastsBefore { get; private set; }

        public int ForecastsAfter { get; private set; }

        public void Observe(in ArrivalSample sample) => _inner.Observe(sample);

        public void Forecast(WorkloadForecast forecast)
        {
            _inner.Forecast(forecast);
            (ForecastsBefore, ForecastsAfter) = _isApplied ? (ForecastsBefore, ForecastsAfter + 1) : (ForecastsBefore + 1, ForecastsAfter);
        }

        public ITrainingJob? TakeTrainingJob()
        {
            var job = _isDue ? this : null;
            _isDue = false;
            return job;
        }

        public void Run(CancellationToken cancellationToken) => _isTrained = true;

        public void Apply() => _isApplied = _isTrained;
    }

    [Fact]
    public void ATrainingThatIsDueTakesNoTimeAndTheForecastsAfterItAreByIt()
    {
        var predictor = new TrainedPredictor();
        var settings = Settings() with { Duration = Seconds(10) };
        ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { CreatePredictor = () => predictor } }, [Ms(1)]);
        Assert.Equal(1, predictor.ForecastsBefore);
        Assert.InRange(predictor.ForecastsAfter, 8, 11);
    }

    [Fact]
    public void MachinesAreLetGoAfterTheCoolDownAndBilledToTheirEnd()
    {
        // 3000/s for 10 s, then nothing until second 60.
        var result = ServingSimulator.Run(Settings() with { Duration = Seconds(60) }, Ramp(3000, 3000, 10));
        Assert.Equal(Seconds(60), result.Duration);
        Assert.InRange(result.PeakInstances, 3, 3);
        Assert.Equal(3, result.Launched);
        // One from 0 to 60 s; two from about second 1 until the load is forgotten, 10 s after its end, and the cool-down of 10 s has passed.
        Assert.InRange(result.InstanceCost, 0.001m * (60 + 2 * 27), 0.001m * (60 + 2 * 32));
    }

    [Fact]
    public void FromZeroRequestsWaitForTheFirstInstanceOrAreSpilled()
    {
        IProvisioningPlanner one = new StaticPlanner(1);
        var waited = ServingSimulator.Run(Settings(start: 0, min: 0, planner: one), [Ms(1), Ms(2)]);
        Assert.Equal((2L, 0L), (waited.Requests, waited.InTime));
        Assert.InRange(waited.P50.TotalSeconds, 2, 2.1);
        var spilled = ServingSimulator.Run(Settings(start: 0, min: 0, planner: one, spillover: new SimulatedSpillover(Ms(20), 0.25m, 10)), [Ms(1), Ms(2)]);
        Assert.Equal((2L, 2L, 0.5m), (spilled.InTime, spilled.Spilled, spilled.SpilloverCost));
    }

    [Fact]
    public void ASurgeBetweenTwoPlansIsMetAtOnceByTheMonitorOfTheEnginesOwnController()
    {
        // A plan a minute, and from second 61 on three times what one instance does.
        var settings = Settings() with { ServiceLevel = 0.99 };
        var options = new FleetOptions { SampleInterval = Seconds(1), PlanInterval = Seconds(60), Horizon = 3, ScaleInCooldown = Seconds(60), SloWindow = Seconds(10) };
        var arrivals = Ramp(500, 500, 61).Concat(Ramp(4000, 4000, 50, seed: 2).Select(t => t + Seconds(61))).ToList();
        var with = Run(options);
        options = new FleetOptions { SampleInterval = Seconds(1), PlanInterval = Seconds(60), Horizon = 3, ScaleInCooldown = Seconds(60), SloWindow = TimeSpan.Zero };
        var without = Run(options);
        Assert.InRange(with.PeakInstances, 3, 4);
        Assert.True(with.SloAttainment > 0.9, $"{with.SloAttainment}");
        Assert.True(without.SloAttainment < 0.6, $"{without.SloAttainment}");

        SimulationResult Run(FleetOptions options) => ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { Options = options } }, arrivals);
    }

    [Fact]
    public void AFleetOfNoneIsWokenBetweenTwoPlansByAFewRequestsAndGoesBackToNone()
    {
        // Idle until second 65: the next plan would be made at 120. One sample, one launch of two seconds.
        var settings = Settings(start: 0, min: 0) with { Duration = Seconds(400) };
        var options = new FleetOptions { SampleInterval = Seconds(1), PlanInterval = Seconds(60), Horizon = 3, MinInstances = 0, ScaleInCooldown = Seconds(60) };
        var result = ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { Options = options } }, [Seconds(65), Seconds(65.5), Seconds(80)]);
        Assert.Equal((3L, 0L, 1L, 1), (result.Requests, result.Rejected, result.InTime, result.Launched));
        Assert.InRange(result.P50.TotalSeconds, 2, 3.5);
        Assert.InRange(result.InstanceCost, 0.001m * 60, 0.001m * 250);
    }

    // A spot machine lasts three minutes on average, and another takes 20 s to launch; a standby machine takes one to start.
    private static SimulationSettings Interrupted(double perHour, int standbys)
    {
        var spot = Kind with { Offering = Kind.Offering with { Market = InstanceMarket.Spot, LaunchDelay = Seconds(20), InterruptionsPerHour = perHour } };
        var standby = new SimulatedInstance(
            new InstanceOffering { Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 7.2m, StoppedPricePerHour = 0.36m, LaunchDelay = Seconds(20), ResumeDelay = Seconds(1) }, Kind.Profile);
        var settings = Settings(planner: new StaticPlanner(2)) with { Fleet = [spot, spot], MaxQueueLength = 1_000_000 };
        return settings with
        {
            Scaling = settings.Scaling! with
            {
                Offerings = [spot, standby],
                InterruptionNotice = Seconds(5),
                Options = new FleetOptions { SampleInterval = Seconds(1), PlanInterval = Seconds(10), Horizon = 3, MinInstances = 1, StandbyInstances = standbys, ScaleInCooldown = Seconds(20) },
            },
        };
    }

    [Fact]
    public void SpotMachinesAreTakenAwayByTheirHazardAndNoRequestIsLost()
    {
        // More than one machine does, so that the loss of either is felt.
        var arrivals = Ramp(2000, 2000, 900).ToList();
        var calm = ServingSimulator.Run(Interrupted(0, standbys: 0), arrivals);
        var interrupted = ServingSimulator.Run(Interrupted(20, standbys: 0), arrivals);
        Assert.Equal((0L, 2), (calm.Interruptions, calm.Launched));
        // Two machines for a quarter of an hour, at 20 an hour each: ten on average.
        Assert.InRange(interrupted.Interruptions, 4, 18);
        Assert.InRange(interrupted.Launched - 2, interrupted.Interruptions - 2, interrupted.Interruptions + 2);
        Assert.Equal(0, interrupted.Rejected);
        Assert.True(interrupted.SloAttainment < calm.SloAttainment, $"{interrupted.SloAttainment} of {calm.SloAttainment}");
        Assert.Equal(Bytes.Of(interrupted), Bytes.Of(ServingSimulator.Run(Interrupted(20, standbys: 0), arrivals)));
        Assert.NotEqual(Bytes.Of(interrupted), Bytes.Of(ServingSimulator.Run(Interrupted(20, standbys: 0) with { Seed = 2 }, arrivals)));
    }

    [Fact]
    public void WhatIsInFlightOnAMachineThatGoesIsServedElsewhere()
    {
        // No notice at all: what runs is taken back and runs again.
        var settings = Interrupted(60, standbys: 0);
        var result = ServingSimulator.Run(settings with { Scaling = settings.Scaling! with { InterruptionNotice = TimeSpan.Zero } }, Ramp(2000, 2000, 300));
        Assert.True(result.Interruptions > 3, $"{result.Interruptions}");
        Assert.Equal(0, result.Rejected);
    }

    [Fact]
    public void StandbyMachinesStandInUntilTheReplacementServes()
    {
        var arrivals = Ramp(2000, 2000, 900).ToList();
        var without = ServingSimulator.Run(Interrupted(20, standbys: 0), arrivals);
        var with = ServingSimulator.Run(Interrupted(20, standbys: 2), arrivals);
        Assert.True(with.Resumptions > 3, $"{with.Resumptions}");
        Assert.True(1 - with.SloAttainment < 0.2 * (1 - without.SloAttainment), $"{with.SloAttainment} with, {without.SloAttainment} without");
    }

    [Fact]
    public void RequestsThatNobodyWillServeAreRefusedAtTheEnd()
    {
        var result = ServingSimulator.Run(Settings(start: 0, min: 0, planner: new StaticPlanner(0)) with { Duration = Seconds(5) }, [Ms(1)]);
        Assert.Equal((1L, 1L, 0m), (result.Requests, result.Rejected, result.TotalCost));
    }

    [Fact]
    public void TheSameSeedGivesTheSameResult() => Assert.Equal(
        Bytes.Of(ServingSimulator.Run(Settings() with { LatencyNoise = 0.1 }, Ramp(200, 4000, 20))),
        Bytes.Of(ServingSimulator.Run(Settings() with { LatencyNoise = 0.1 }, Ramp(200, 4000, 20))));

    [Fact]
    public void BadWorldsAreRefused()
    {
        Assert.Contains("at least one offering", Assert.Throws<ArgumentException>(() => ServingSimulator.Run(Settings() with { Scaling = Settings().Scaling! with { Offerings = [] } }, [])).Message);
        var stranger = Kind with { Offering = Kind.Offering with { Name = "x" } };
        Assert.Contains("offering 'x'; there are: d", Assert.Throws<ArgumentException>(() => ServingSimulator.Run(Settings() with { Fleet = [stranger] }, [])).Message);
        Assert.Contains("'d', of market OnDemand, has 1 interruptions an hour", Refused(Kind with { Offering = Kind.Offering with { InterruptionsPerHour = 1 } }).Message);
        Assert.Contains("none of market Standby, and Fleet:StandbyInstances is 1", Refused(Kind, new FleetOptions { StandbyInstances = 1 }).Message);
        Assert.Contains("InterruptionNotice is -00:00:01", Assert.Throws<ArgumentException>(
            () => ServingSimulator.Run(Settings() with { Scaling = Settings().Scaling! with { InterruptionNotice = Seconds(-1) } }, [])).Message);
        var slow = Settings() with { Slo = Ms(1) };
        Assert.Throws<NoUsableOfferingException>(() => ServingSimulator.Run(slow, [Ms(1)]));

        static ArgumentException Refused(SimulatedInstance kind, FleetOptions? options = null) => Assert.Throws<ArgumentException>(
            () => ServingSimulator.Run(Settings(start: 0) with { Scaling = Settings().Scaling! with { Offerings = [kind], Options = options ?? new FleetOptions() } }, []));
    }
}
