using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 7: an instance that is far slower than its peers is put out of rotation and probed back; one that is new or back begins with small batches.</summary>
public sealed class OutlierTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    // T_b = 5 + b ms.
    private static (ModelScheduler Scheduler, List<DispatchedBatch> Running) Fleet(int instances, int slowStart = 0)
    {
        var scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "m",
            Slo = Ms(1000),
            MaxBatchSize = 8,
            MaxQueueLength = 1000,
            CreatePolicy = _ => new EagerPolicy(),
        });
        for (var id = 1; id <= instances; id++)
        {
            scheduler.OnInstanceReady(TimeSpan.Zero, id, offering: 0, maxBatchSize: 8, slots: 1, LatencyProfile.Linear(Ms(5), Ms(1), 8), slowStart);
        }
        return (scheduler, Take(scheduler, []));
    }

    private static List<DispatchedBatch> Take(ModelScheduler scheduler, List<DispatchedBatch> running)
    {
        foreach (var command in scheduler.Commands)
        {
            if (command.Kind == SchedulerCommandKind.Dispatch)
            {
                running.Add(command.Batch!);
            }
        }
        scheduler.ClearCommands();
        return running;
    }

    private static void Arrive(ModelScheduler scheduler, TimeSpan now, int count)
    {
        for (var i = 0; i < count; i++)
        {
            scheduler.OnArrival(now, new RequestTerms(now + Ms(1000), 0, RequestPriority.Normal, WhenUnreachable.ServeLate, OwnDeadline: false), more: true);
        }
        scheduler.OnArrivalsEnd(now);
    }

    /// <summary>Rounds in which every instance has a batch; one of them takes so many times as long as expected.</summary>
    private static TimeSpan Rounds(ModelScheduler scheduler, List<DispatchedBatch> running, TimeSpan now, int rounds, int slow, double factor)
    {
        for (var round = 0; round < rounds; round++)
        {
            Arrive(scheduler, now, 8 * scheduler.InstanceCount);
            Take(scheduler, running);
            foreach (var batch in running.ToArray())
            {
                running.Remove(batch);
                var took = Ms(5 + batch.Count) * (batch.Instance.Id == slow ? factor : 1);
                scheduler.OnBatchCompleted(now + took, batch, took);
                Take(scheduler, running);
            }
            while (running.Count > 0)
            {
                var batch = running[0];
                running.RemoveAt(0);
                scheduler.OnBatchCompleted(now + Ms(500), batch, Ms(5 + batch.Count) * (batch.Instance.Id == slow ? factor : 1));
                Take(scheduler, running);
            }
            now += Ms(1000);
        }
        return now;
    }

    [Fact]
    public void OneThatIsFarSlowerThanItsPeersIsPutOutAndProbedBack()
    {
        var (scheduler, running) = Fleet(3);
        var now = Rounds(scheduler, running, TimeSpan.Zero, rounds: 2, slow: 2, factor: 10);
        Assert.Equal(0, scheduler.OutOfRotationCount);
        now = Rounds(scheduler, running, now, rounds: 1, slow: 2, factor: 10);
        Assert.Equal(1, scheduler.OutOfRotationCount);
        scheduler.OnWakeUp(now + Ms(10_000));
        Assert.Contains(scheduler.Commands.ToArray(), c => c.Kind == SchedulerCommandKind.Probe && c.Instance!.Id == 2);
        scheduler.ClearCommands();
        scheduler.OnProbeCompleted(now + Ms(10_001), 2, ok: true);
        Assert.Equal(0, scheduler.OutOfRotationCount);
        Take(scheduler, running);
        Rounds(scheduler, running, now + Ms(20_000), rounds: 10, slow: 2, factor: 1);
        Assert.Equal(0, scheduler.OutOfRotationCount);
    }

    [Theory]
    [InlineData(2, 10)]     // with one peer nobody can tell which of the two is well
    [InlineData(3, 2)]      // not so much slower
    public void OthersStay(int instances, double factor)
    {
        var (scheduler, running) = Fleet(instances);
        Rounds(scheduler, running, TimeSpan.Zero, rounds: 10, slow: 2, factor);
        Assert.Equal(0, scheduler.OutOfRotationCount);
    }

    [Fact]
    public void ANewInstanceBeginsWithSmallBatches()
    {
        var (scheduler, running) = Fleet(1, slowStart: 2);
        var sizes = new List<int>();
        Arrive(scheduler, TimeSpan.Zero, 40);
        for (var i = 0; i < 5; i++)
        {
            var batch = Assert.Single(Take(scheduler, running));
            running.Clear();
            sizes.Add(batch.Count);
            scheduler.OnBatchCompleted(Ms(20 * (i + 1)), batch, Ms(5 + batch.Count));
        }
        Assert.Equal([2, 4, 8, 8, 8], sizes);
    }
}
