using BenchmarkDotNet.Attributes;
using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Benchmarks.Micro;

/// <summary>The engine's decisions, each by itself: time is per request for enqueue and complete, per call for the others.</summary>
[MemoryDiagnoser]
public class CoreBenchmarks
{
    private const int Requests = SchedulerBench.Batch * SchedulerBench.Batches;

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly SloAwareBatchPolicy _policy = new();
    private readonly LatencyProfile _profile = SchedulerBench.Profile();
    private readonly TimeSpan[] _deadlines = [.. Enumerable.Range(1, SchedulerBench.Batch / 2).Select(i => TimeSpan.FromMilliseconds(20 + i))];
    private readonly MovingMaximumPredictor _predictor = new(5 * Minute);
    private readonly WorkloadForecast _forecast = new(60, Minute);
    private readonly CostOptimalPlanner _planner = new();
    private readonly GreedyPlanner _greedy = new();
    private readonly OfferingState[] _offerings =
    [
        new(new InstanceOffering { Name = "small", PricePerHour = 0.1m, LaunchDelay = Minute }, 100, 3, 0, Minute),
        new(new InstanceOffering { Name = "large", PricePerHour = 0.9m, LaunchDelay = 2 * Minute }, 1200, 1, 0, 2 * Minute),
    ];

    private readonly FleetPlan _plan = new(60, 2);
    private SchedulerBench _idle = null!;
    private SchedulerBench _running = null!;

    [GlobalSetup]
    public void Setup()
    {
        for (var slot = 0; slot < 60; slot++)
        {
            _predictor.Observe(new ArrivalSample(DateTimeOffset.UnixEpoch + slot * TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5), 5000 + 100 * slot));
        }
        _predictor.Forecast(_forecast);
    }

    [IterationSetup(Target = nameof(Enqueue))]
    public void SetUpEnqueue() => _idle = SchedulerBench.Idle();

    [IterationSetup(Target = nameof(Complete))]
    public void SetUpComplete() => _running = SchedulerBench.Running();

    /// <summary>A request arrives, is judged and waits.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public void Enqueue()
    {
        for (var i = 0; i < Requests; i++)
        {
            _idle.Enqueue();
        }
    }

    /// <summary>A batch of 32 ends.</summary>
    [Benchmark(OperationsPerInvoke = Requests)]
    public void Complete() => _running.CompleteAll();

    /// <summary>The default policy, with half a batch waiting.</summary>
    [Benchmark]
    public BatchDecision Decide() => _policy.Decide(new BatchContext
    {
        Now = TimeSpan.FromMilliseconds(1),
        Deadlines = _deadlines,
        EarliestDeadline = _deadlines[0],
        HeadArrival = TimeSpan.Zero,
        QueueLength = _deadlines.Length,
        MaxBatchSize = SchedulerBench.Batch,
        Profile = _profile,
        FreeSlots = 1,
        ArrivalRate = 10_000,
        ReadyInstances = 1,
        OtherIdleInstances = 0,
        NextInstanceFreeAt = null,
    });

    /// <summary>The moving maximum over 60 steps, from 60 slots; what the default predictor takes is in `forecast`.</summary>
    [Benchmark]
    public void Forecast() => _predictor.Forecast(_forecast);

    /// <summary>The default planner over 60 steps and 2 offerings.</summary>
    [Benchmark]
    public void Plan() => _planner.Plan(Context(), _plan);

    /// <summary>The same by the paper's Algorithm 1.</summary>
    [Benchmark]
    public void PlanGreedily() => _greedy.Plan(Context(), _plan);

    private ProvisioningContext Context() => new()
    {
        Now = DateTimeOffset.UnixEpoch,
        Forecast = _forecast,
        Offerings = _offerings,
        MinInstances = 1,
        MaxInstances = 100,
        SpilloverPricePerRequest = null,
        ServiceLevel = 0.99,
        MaxHourlySpend = null,
    };
}
