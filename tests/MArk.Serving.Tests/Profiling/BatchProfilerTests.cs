using MArk.Serving.Engine;
using MArk.Serving.Profiling;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Profiling;

public sealed class BatchProfilerTests
{
    private readonly FakeTimeProvider _time = new();

    /// <summary>A model that takes 4 + b ms of virtual time, and now and then is held up by something else.</summary>
    private sealed class SteadyRunner(FakeTimeProvider time) : IBatchRunner<int, int>
    {
        private readonly DateTimeOffset _start = time.GetUtcNow();
        private int _runs;

        /// <summary>By how much its machine becomes slower in a second.</summary>
        public double Slowing { get; init; }

        public List<int> Sizes { get; } = [];

        public int? FailsAt { get; init; }

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            Sizes.Add(batch.Count);
            var slowness = 1 + Slowing * (time.GetUtcNow() - _start).TotalSeconds;
            time.Advance(TimeSpan.FromMilliseconds(slowness * (4 + batch.Count) + (++_runs % 10 == 5 && Slowing == 0 ? 1000 : 0)));
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch.Count == FailsAt)
                {
                    sink.SetError(i, new InvalidOperationException("too many"));
                }
                else
                {
                    sink.SetResult(i, batch[i]);
                }
            }
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    [Fact]
    public async Task MeasuresEverySizeAndIsNotMovedByOutliers()
    {
        var runner = new SteadyRunner(_time);
        var profile = await BatchProfiler.MeasureAsync(runner, 1, 12, _time, CancellationToken.None);
        Assert.Equal([1, 2, 4, 8, 12], runner.Sizes.Skip(12).Distinct());
        Assert.Equal([5, 6, 8, 12, 16], profile.Points.Select(p => p.Mean.TotalMilliseconds));
    }

    [Fact]
    public async Task AnInstanceIsWarmedUpAtEverySize()
    {
        var runner = new SteadyRunner(_time);
        await BatchProfiler.WarmUpAsync(runner, 1, 12, _time, CancellationToken.None);
        Assert.Equal([1, 2, 4, 8, 12, 3, 5, 6, 7, 9, 10, 11], runner.Sizes);
    }

    [Fact]
    public async Task SizesBetweenThoseThatAreMeasuredDoNotKeepASlowInstanceFromServing()
    {
        // Each run takes many times as long as the one before, and that of 3 some minutes.
        var runner = new SteadyRunner(_time) { Slowing = 1000 };
        await BatchProfiler.WarmUpAsync(runner, 1, 12, _time, CancellationToken.None);
        Assert.Equal([1, 2, 4, 8, 12, 3], runner.Sizes);
    }

    [Fact]
    public async Task SizesAreComparedRightlyOnAMachineThatBecomesSlower()
    {
        var profile = await BatchProfiler.MeasureAsync(new SteadyRunner(_time) { Slowing = 1 }, 1, 12, _time, CancellationToken.None);
        var times = profile.Points.Select(p => p.Mean / profile.Mean(1)).ToList();
        foreach (var (time, expected) in times.Zip([5.0, 6, 8, 12, 16]))
        {
            Assert.InRange(time, 0.95 * expected / 5, 1.1 * expected / 5);
        }
    }

    [Fact]
    public async Task AModelThatFailsItsWarmUpIsNamedWithTheSize()
    {
        var error = await Assert.ThrowsAsync<ServingException>(() =>
            BatchProfiler.MeasureAsync(new SteadyRunner(_time) { FailsAt = 4 }, 1, 8, _time, CancellationToken.None));
        Assert.Contains("batch size 4: too many", error.Message);
    }

    [Fact]
    public async Task AnInstanceThatIsAtFaultInItsWarmUpIsNoFaultOfTheModel()
    {
        var runner = await new DelegateBatchRunnerFactory<int, int>((_, _, _) => throw new InstanceFailedException("it is gone")).ConnectAsync(null!, CancellationToken.None);
        var error = await Assert.ThrowsAsync<InstanceFailedException>(() => BatchProfiler.WarmUpAsync(runner, 1, 8, _time, CancellationToken.None));
        Assert.Equal("it is gone", error.Message);
    }

    [Fact]
    public async Task AScaledDeviceStaysBusyUntilItsOwnTimeHasPassed()
    {
        var answers = new List<int>();
        var runner = new DeviceTimeScaledRunner<int, int>(
            new SteadyRunner(_time), LatencyProfile.Linear(TimeSpan.FromMilliseconds(400), TimeSpan.FromMilliseconds(100), 8), 100, _time);
        var run = runner.RunAsync(new RequestBatch<int>(new[] { 7, 8 }), new ListSink(answers), CancellationToken.None).AsTask();
        // The model itself takes the last 6 ms of the 600 of the device.
        _time.Advance(TimeSpan.FromMilliseconds(593));
        Assert.False(run.IsCompleted);
        Assert.Empty(answers);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await run;
        Assert.Equal([7, 8], answers);
    }
}
