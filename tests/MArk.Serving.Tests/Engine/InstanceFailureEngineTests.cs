namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 3, with real instances: one that fails is left, probed and taken back; its requests do not notice.</summary>
public sealed class InstanceFailureEngineTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    /// <summary>Fails as an instance for a number of runs, then doubles.</summary>
    private sealed class Flaky(int failures)
    {
        private int _left = failures;

        public List<int> Sizes { get; } = [];

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            lock (Sizes)
            {
                Sizes.Add(batch.Count);
                if (_left-- > 0)
                {
                    throw new InstanceFailedException("the device is gone");
                }
            }
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
            return ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task AnInstanceThatFailsIsProbedBackAndItsRequestsAreAnswered()
    {
        var flaky = new Flaky(1);
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(flaky.RunAsync));
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => host.Client.InferAsync(i, Patient).AsTask()));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => 2 * i), answers);
        Assert.Equal(1, flaky.Sizes[1]);        // no sample: a lone request was the probe
        Assert.Equal("the device is gone", Assert.IsType<InstanceFailedException>(host.Log.Errors.First()).Message);
        Assert.Equal(0, host.Monitor.GetReport().OutOfRotation);
    }

    [Fact]
    public async Task AnInstanceIsProbedWithTheModelsSampleWhereItHasOne()
    {
        var fails = false;
        var probes = 0;
        await using var host = await ServingHost.StartAsync(m => m.WithWarmUpInput(-1).UseBatchFunction((batch, sink, _) =>
        {
            if (Volatile.Read(ref fails))
            {
                // The first probe fails too, the second finds the instance well.
                Volatile.Write(ref fails, batch[0] != -1 || Interlocked.Increment(ref probes) < 2);
                throw new InstanceFailedException("the device is gone");
            }
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
            return ValueTask.CompletedTask;
        }));
        Volatile.Write(ref fails, true);
        Assert.Equal(2, await host.Client.InferAsync(1, Patient));
        Assert.Equal(2, probes);
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("failed its probe"));
    }

    [Fact]
    public async Task ARequestUnderWhichTooManyInstancesFailSaysSo()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(new Flaky(3).RunAsync));
        var error = await Assert.ThrowsAsync<InferenceFailedException>(async () => await host.Client.InferAsync(1, Patient));
        Assert.Contains("more than 2 instances were lost or failed while it ran; the last one: the device is gone", error.Message);
        Assert.IsType<InstanceFailedException>(error.InnerException);
    }

    [Fact]
    public async Task TheExtraRunsOfABadRequestAreCounted()
    {
        var gate = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, ct) =>
            batch.Inputs.Contains(3) ? throw new FormatException("three") : gate.RunAsync(batch, sink, ct)));
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await gate.Entered.WaitAsync();
        var calls = Enumerable.Range(1, 4).Select(i => host.Client.TryInferAsync(i, Patient).AsTask()).ToArray();
        gate.Open();
        await first;
        await Task.WhenAll(calls);
        await host.UntilAsync(r => r.ExtraRuns == 4);
    }
}
