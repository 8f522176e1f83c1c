using MArk.Serving.Batching;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 8: however the last request of a stopping model ends, the end is said, once.</summary>
public sealed class DrainTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly ModelScheduler _scheduler = new(new SchedulerSettings
    {
        ModelName = "m", Slo = Minute, MaxBatchSize = 4, MaxQueueLength = 100, CreatePolicy = _ => new SloAwareBatchPolicy(),
    });

    private int Drained => _scheduler.Commands.ToArray().Count(c => c.Kind == SchedulerCommandKind.Drained);

    private RequestId Arrive(WhenUnreachable mode) => _scheduler.OnArrival(TimeSpan.Zero, new RequestTerms(Minute, 0, RequestPriority.Normal, mode, OwnDeadline: true));

    [Fact]
    public void WhenTheLastWaitingRequestIsCancelled()
    {
        _scheduler.OnCapacityExpected(TimeSpan.Zero, TimeSpan.FromSeconds(5));
        var id = Arrive(WhenUnreachable.ServeLate);
        _scheduler.OnStopping(TimeSpan.Zero);
        Assert.Equal(0, Drained);
        _scheduler.OnCancelled(TimeSpan.Zero, id);
        Assert.Equal(1, Drained);
    }

    [Fact]
    public void WhenTheLastWaitingRequestIsRefused()
    {
        _scheduler.OnCapacityExpected(TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Arrive(WhenUnreachable.Reject);
        _scheduler.OnStopping(TimeSpan.Zero);
        _scheduler.OnCapacityExpected(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(2));
        Assert.Equal((0, 1), (_scheduler.RequestCount, Drained));
    }

    [Fact]
    public void WhenTheLastInstanceIsLostAfterItHadAnswered()
    {
        _scheduler.OnInstanceReady(TimeSpan.Zero, 1, 0, 4, 1, LatencyProfile.Unmeasured(4));
        Arrive(WhenUnreachable.Reject);
        _scheduler.OnStopping(TimeSpan.Zero);
        Assert.Equal(0, Drained);
        _scheduler.OnInstancesLost(TimeSpan.Zero, [1], (_, _) => true);
        Assert.Equal((0, 1), (_scheduler.RequestCount, Drained));
    }
}
