using System.Collections.Concurrent;
using System.Diagnostics;
using MArk.Serving.Provisioning;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>The span of a batch: of no trace but its own, and with the error of a batch that failed.</summary>
public sealed class BatchSpanTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly AsyncLocal<string?> Scope = new();

    /// <summary>Notes the scope that it runs in.</summary>
    private sealed class Model(bool blocksThread) : IBatchRunnerFactory<int, int>, IBatchRunner<int, int>
    {
        public ConcurrentQueue<string?> Scopes { get; } = new();

        public bool BlocksThread => blocksThread;

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            Scopes.Enqueue(Scope.Value);
            if (!blocksThread)
            {
                await Task.Yield();
            }
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>As a web request would, which has a trace and a scope.</summary>
    private static async Task<T> InARequestAsync<T>(Func<Task<T>> act)
    {
        Scope.Value = "a request";
        using var request = new Activity("request").Start();
        return await act();
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public async Task BatchesHaveNothingOfTheRequestThatStartedOrReloadedTheModel(bool blocksThread, bool reloads)
    {
        var model = $"spans, {blocksThread}, {reloads}";
        using var probe = new SpanProbe(model);
        var first = new Model(blocksThread);
        var serves = first;
        await using var host = await InARequestAsync(() => ServingHost.StartAsync(m => m.UseRunner(_ => first).WithSlo(Minute), model: model));
        if (reloads)
        {
            serves = new Model(blocksThread);
            await InARequestAsync(async () =>
            {
                await host.Reloader.ReloadAsync(serves);
                return true;
            });
        }
        for (var i = 0; i < 20; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(n => host.Client.InferAsync(n).AsTask()));
        }
        await host.StopAsync();

        Assert.NotEmpty(probe.Spans);
        Assert.All(probe.Spans, span => Assert.Equal((null, default), (span.Parent, span.ParentSpanId)));
        Assert.NotEmpty(serves.Scopes);
        Assert.All(serves.Scopes, Assert.Null);
    }

    [Fact]
    public async Task AFleetLaunchesInNoRequestsContext()
    {
        var scopes = new ConcurrentQueue<string?>();
        var provider = new ScriptedProvider
        {
            OnLaunch = _ =>
            {
                scopes.Enqueue(Scope.Value);
                return null;
            },
            OnWatch = () =>
            {
                scopes.Enqueue(Scope.Value);
                return null;
            },
        };
        await using var host = await InARequestAsync(() => ServingHost.StartAsync(m => m
            .UseRunner(_ => new Model(blocksThread: true)).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1))
            .WithOptions(o =>
            {
                o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                o.Fleet.Horizon = 3;
            })));
        await host.UntilAsync(r => r.ReadyInstances == 1 && scopes.Count >= 2);
        Assert.All(scopes, Assert.Null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AFailedBatchsSpanSaysSo(bool yields)
    {
        var model = $"fails, {yields}";
        using var probe = new SpanProbe(model);
        await using var host = await ServingHost.StartAsync(
            m => m.WithSlo(Minute).UseBatchFunction((batch, sink, _) => yields ? LaterAsync(batch, sink) : Now(batch, sink)), model: model);
        await Assert.ThrowsAsync<InferenceFailedException>(async () => await host.Client.InferAsync(0));
        Assert.Equal(2, await host.Client.InferAsync(1));
        await host.StopAsync();

        var failed = probe.Spans.Where(span => span.Status == ActivityStatusCode.Error).ToArray();
        Assert.NotEmpty(failed);
        Assert.All(failed, span => Assert.Equal(("boom", "System.InvalidOperationException"), (span.StatusDescription, span.GetTagItem("error.type"))));
        var well = Assert.Single(probe.Spans, span => span.Status == ActivityStatusCode.Unset);
        Assert.Null(well.GetTagItem("error.type"));

        static ValueTask Now(RequestBatch<int> batch, IBatchSink<int> sink)
        {
            if (batch[0] == 0)
            {
                throw new InvalidOperationException("boom");
            }
            sink.SetResult(0, 2 * batch[0]);
            return ValueTask.CompletedTask;
        }

        static async ValueTask LaterAsync(RequestBatch<int> batch, IBatchSink<int> sink)
        {
            await Task.Yield();
            await Now(batch, sink);
        }
    }
}
