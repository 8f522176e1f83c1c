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
        private int _runs;

        public List<int> Sizes { get; } = [];

        public int? FailsAt { get; init; }

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            Sizes.Add(batch.Count);
            time.Advance(TimeSpan.FromMilliseconds(4 + batch.Count + (++_runs % 10 == 5 ? 1000 : 0)));
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
        Assert.Equal([1, 2, 4, 8, 12], runner.Sizes.Distinct());
        Assert.Equal([5, 6, 8, 12, 16], profile.Points.Select(p => p.Mean.TotalMilliseconds));
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
        var error = await Assert.ThrowsAsync<InstanceFailedException>(() => BatchProfiler.WarmUpAsync(runner, 1, 8, CancellationToken.None));
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

    private sealed class ListSink(List<int> answers) : IBatchSink<int>
    {
        public void SetResult(int index, int result) => answers.Add(result);

        public void SetError(int index, Exception error) => throw error;

        public bool TryGetDestination(int index, out int destination)
        {
            destination = 0;
            return false;
        }
    }
}
