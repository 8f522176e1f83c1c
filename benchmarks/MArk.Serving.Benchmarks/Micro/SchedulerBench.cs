using MArk.Serving.Batching;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Benchmarks.Micro;

/// <summary>The one place that drives the scheduler: a model of one instance of many slots, and requests of far deadlines.</summary>
internal sealed class SchedulerBench
{
    public const int Batch = 32;
    public const int Batches = 128;

    private static readonly TimeSpan Slo = TimeSpan.FromHours(1);
    private static readonly TimeSpan Step = TimeSpan.FromMicroseconds(10);

    private readonly ModelScheduler _scheduler;
    private readonly List<DispatchedBatch> _running = [];
    private TimeSpan _now;

    private SchedulerBench(bool busy)
    {
        _scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "micro",
            Slo = Slo,
            MaxBatchSize = Batch,
            MaxQueueLength = 2 * Batch * Batches,
            CreatePolicy = _ => new FixedWindowBatchPolicy(Batch, Slo / 2),
        });
        _scheduler.OnInstanceReady(_now, id: 1, offering: 0, Batch, Batches, Profile());
        if (busy)
        {
            _scheduler.OnInstanceBusy(_now, id: 1, busy: true);
        }
    }

    /// <summary>A scheduler whose instance takes nothing: what arrives waits.</summary>
    public static SchedulerBench Idle()
    {
        var bench = new SchedulerBench(busy: true);
        bench._scheduler.OnCapacityExpected(bench._now, Slo / 2);
        return bench;
    }

    /// <summary>A scheduler with all its batches under way and nothing waiting.</summary>
    public static SchedulerBench Running()
    {
        var bench = new SchedulerBench(busy: false);
        for (var i = 0; i < Batch * Batches; i++)
        {
            bench.Enqueue();
        }
        return bench;
    }

    public void Enqueue()
    {
        _now += Step;
        _scheduler.OnArrival(_now, new RequestTerms(_now + Slo, 0, RequestPriority.Normal, WhenUnreachable.ServeLate, OwnDeadline: false));
        foreach (var command in _scheduler.Commands)
        {
            if (command.Kind == SchedulerCommandKind.Dispatch)
            {
                _running.Add(command.Batch!);
            }
        }
        _scheduler.ClearCommands();
    }

    public void CompleteAll()
    {
        foreach (var batch in _running)
        {
            _now += Step;
            _scheduler.OnBatchCompleted(_now, batch);
            _scheduler.ClearCommands();
        }
        _running.Clear();
    }

    public static LatencyProfile Profile() => new([.. LatencyProfile.ProbeSizes(Batch).Select(size =>
    {
        var time = TimeSpan.FromMilliseconds(1 + 0.1 * size);
        return new LatencyPoint(size, time, 1.1 * time);
    })]);
}
