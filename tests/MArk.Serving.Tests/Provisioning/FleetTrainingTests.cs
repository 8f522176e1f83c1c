using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>Training is a command and a later event: one at a time, applied on the predictor's own thread, and forecasts go on meanwhile.</summary>
public sealed class FleetTrainingTests
{
    private readonly TrainablePredictor _predictor = new();
    private readonly FleetWorld _world;

    public FleetTrainingTests() => _world = new FleetWorld(
        new FleetSettings { Fleet = "m", MinInstances = 0 }, [new InstanceOffering { Name = "a", PricePerHour = 1 }], _predictor);

    [Fact]
    public void ATrainingIsCommandedAndAppliedWhenItEndsAndForecastsGoOnMeanwhile()
    {
        _predictor.Due = 1;
        _world.Tick(0);
        Assert.NotNull(_world.Training);
        Assert.Equal(0, _predictor.Applied);
        _predictor.Due = 5;
        _world.Advance(60);
        _world.Tick(0);
        // One at a time: none is taken while one runs, and the plan is made all the same.
        Assert.Equal((2, 5), (_predictor.Forecasts, _predictor.Due));
        _predictor.Due = 0;
        _world.Trained();
        Assert.Equal(1, _predictor.Applied);
        Assert.Null(_world.Training);
        Assert.Empty(_world.Faults);
    }

    [Fact]
    public void AllThatAreDueAreTakenOneAfterTheOther()
    {
        _predictor.Due = 3;
        _world.Tick(0);
        for (var i = 1; i <= 3; i++)
        {
            Assert.NotNull(_world.Training);
            _world.Trained();
            Assert.Equal(i, _predictor.Applied);
        }
        Assert.Null(_world.Training);
    }

    [Fact]
    public void ATrainingThatFailsIsSaidNotAppliedAndTriedWithTheNextInterval()
    {
        _predictor.Due = 2;
        _world.Tick(0);
        _world.Trained(new InvalidOperationException("no gradient"), well: false);
        Assert.Null(_world.Training);
        Assert.Equal(
            "A training of TrainablePredictor for fleet 'm' failed; the forecast goes on with what was learned before, and it is tried again when one is due: no gradient",
            Assert.Single(_world.Faults).Message);
        _world.Advance(60);
        _world.Tick(0);
        _world.Trained();
        Assert.Equal((1, 2), (_predictor.Applied, _predictor.Forecasts));
        Assert.Single(_world.Faults);
    }

    [Fact]
    public void ATrainingThatWasCancelledIsNoNews()
    {
        _predictor.Due = 1;
        _world.Tick(0);
        _world.Trained(error: null, well: false);
        Assert.Equal(0, _predictor.Applied);
        Assert.Empty(_world.Faults);
    }

    [Fact]
    public void APredictorThatThrowsFromTakeOrApplyIsNamedAndPlanningGoesOn()
    {
        _predictor.Due = 1;
        _predictor.OnTake = new InvalidOperationException("no data");
        _world.Tick(1);
        Assert.Single(_world.Launching);
        var fault = Assert.IsType<ContractViolationException>(Assert.Single(_world.Faults));
        Assert.Equal(("TrainablePredictor", "no data"), (fault.PartName, fault.InnerException!.Message));
        _predictor.OnTake = null;
        _predictor.OnApply = new InvalidOperationException("no room");
        _predictor.Due = 2;
        _world.Tick(1);
        _world.Trained();
        Assert.Contains("threw from Apply", _world.Faults[1].Message);
        Assert.Null(_world.Training);
        _predictor.OnApply = null;
        _world.Tick(1);
        _world.Trained();
        Assert.Equal(1, _predictor.Applied);
    }

    [Fact]
    public void AfterTheStopNoneIsTaken()
    {
        _predictor.Due = 2;
        _world.Tick(0);
        _world.Stop();
        _world.Trained();
        Assert.Null(_world.Training);
        Assert.Equal(1, _predictor.Due);
    }

    [Fact]
    public void NewsOfATrainingThatIsNotUnderWayIsNotHeard()
    {
        var stray = new TrainablePredictor { Due = 1 };
        _world.Controller.OnTrained(_world.Now, stray.TakeTrainingJob()!);
        _world.Controller.OnTrainingFailed(_world.Now, new TrainablePredictor { Due = 1 }.TakeTrainingJob()!, new InvalidOperationException());
        Assert.Equal(0, stray.Applied);
        Assert.False(_world.Controller.TryTakeCommand(out _));
    }

    [Fact]
    public void APredictorThatChokesOnItsHistoryIsNamedOnceAndPlansAllTheSame()
    {
        var sample = new ArrivalSample(FleetWorld.Start, TimeSpan.FromMinutes(1), 1);
        _world.Controller.OnHistory(_world.Now, [sample, sample, sample]);
        Assert.Equal(3, _predictor.Observed.Count);
        _predictor.OnObserve = new InvalidOperationException("not that");
        _world.Controller.OnHistory(_world.Now, [sample, sample, sample]);
        _world.Tick(1);
        Assert.Contains("is not told the rest of the history", Assert.Single(_world.Faults).Message);
        Assert.Single(_world.Launching);
    }
}

/// <summary>A predictor of trainings that are due when the test says so.</summary>
internal sealed class TrainablePredictor : IWorkloadPredictor, ITrainable
{
    private readonly FlatPredictor _flat = new();
    private int _forecasts;
    private int _applied;

    public List<ArrivalSample> Observed { get; } = [];

    public volatile int Due;

    public int Forecasts => Volatile.Read(ref _forecasts);

    public int Applied => Volatile.Read(ref _applied);

    public Exception? OnObserve { get; set; }

    public Exception? OnTake { get; set; }

    public Exception? OnApply { get; set; }

    public Action<CancellationToken> Run { get; set; } = _ => { };

    public void Observe(in ArrivalSample sample)
    {
        if (OnObserve is not null)
        {
            throw OnObserve;
        }
        Observed.Add(sample);
    }

    public void Forecast(WorkloadForecast forecast)
    {
        Interlocked.Increment(ref _forecasts);
        _flat.Forecast(forecast);
    }

    public ITrainingJob? TakeTrainingJob()
    {
        if (OnTake is not null)
        {
            throw OnTake;
        }
        if (Due == 0)
        {
            return null;
        }
        Due--;
        return new Job(this);
    }

    private sealed class Job(TrainablePredictor predictor) : ITrainingJob
    {
        public void Run(CancellationToken cancellationToken) => predictor.Run(cancellationToken);

        public void Apply()
        {
            if (predictor.OnApply is not null)
            {
                throw predictor.OnApply;
            }
            Interlocked.Increment(ref predictor._applied);
        }
    }
}
