using MArk.Serving.Provisioning;
using MArk.Serving.Spillover;

namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 7: hot reload. Another version takes the place of the one that serves, and no request notices.</summary>
public sealed class ReloadTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private static void Quick(Configuration.ModelOptions options)
    {
        options.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
        options.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
        options.Fleet.Horizon = 3;
        options.Fleet.ScaleInCooldown = TimeSpan.FromMilliseconds(60);
    }

    private static Task<ServingHost> StartAsync(VersionedModel model) =>
        ServingHost.StartAsync(m => m.UseRunner(_ => model).WithSlo(Minute));

    [Fact]
    public async Task WhatRunsFinishesOnTheOldVersionAndWhatFollowsRunsOnTheNew()
    {
        var entered = new SemaphoreSlim(0);
        var gate = new TaskCompletionSource();
        var old = new VersionedModel(2) { Before = _ => { entered.Release(); return gate.Task; } };
        var next = new VersionedModel(3);
        await using var host = await StartAsync(old);
        var running = host.Client.InferAsync(1).AsTask();
        await entered.WaitAsync();
        var reload = host.Reloader.ReloadAsync(next);
        // The old version's batch holds the reload up, but not the callers that come meanwhile.
        int answer;
        do
        {
            old.Before = null;
            answer = await host.Client.InferAsync(1).AsTask().WaitAsync(Minute);
        }
        while (answer == 2 && next.Loaded == 0);
        Assert.Equal((1, 1), (old.Loaded, next.Loaded));
        Assert.Equal(3, await host.Client.InferAsync(1));
        Assert.False(reload.IsCompleted);
        gate.SetResult();
        Assert.Equal(2, await running.WaitAsync(Minute));
        await reload.WaitAsync(Minute);
        Assert.Equal((0, 1), (old.Loaded, next.Loaded));
    }

    [Fact]
    public async Task NoRequestFailsUnderLoad()
    {
        var version = new VersionedModel(1);
        var all = new List<VersionedModel> { version };
        await using var host = await StartAsync(version);
        using var stop = new CancellationTokenSource();
        var callers = Enumerable.Range(1, 16).Select(async i =>
        {
            var factors = new HashSet<int>();
            while (!stop.IsCancellationRequested)
            {
                var answer = await host.Client.InferAsync(i);
                Assert.Equal(0, answer % i);
                factors.Add(answer / i);
            }
            return factors;
        }).ToArray();
        for (var factor = 2; factor <= 20; factor++)
        {
            all.Add(version = new VersionedModel(factor));
            await host.Reloader.ReloadAsync(version).WaitAsync(Minute);
            Assert.Equal(factor, await host.Client.InferAsync(1));
            Assert.Equal(1, all.Sum(v => v.Loaded));
        }
        await stop.CancelAsync();
        var seen = await Task.WhenAll(callers).WaitAsync(Minute);
        Assert.All(seen, factors => Assert.All(factors, f => Assert.InRange(f, 1, 20)));
    }

    [Fact]
    public async Task ReloadsTakePlaceOneAfterTheOther()
    {
        var connecting = new SemaphoreSlim(0);
        var gate = new TaskCompletionSource();
        var old = new VersionedModel(2);
        var first = new VersionedModel(3) { WhileConnecting = () => { connecting.Release(); return gate.Task; } };
        var second = new VersionedModel(5);
        await using var host = await StartAsync(old);
        try
        {
            var reloads = new List<Task> { host.Reloader.ReloadAsync(first) };
            Assert.True(await connecting.WaitAsync(Minute));
            reloads.Add(host.Reloader.ReloadAsync(second));
            for (var i = 0; i < 200; i++)
            {
                Assert.Equal(2, await host.Client.InferAsync(1));
                Assert.False(second.IsInitialized);
            }
            gate.SetResult();
            await Task.WhenAll(reloads).WaitAsync(Minute);
            Assert.Equal(5, await host.Client.InferAsync(1));
            Assert.Equal((0, 0, 1), (old.Loaded, first.Loaded, second.Loaded));
        }
        finally
        {
            gate.TrySetResult();
        }
    }

    public static TheoryData<string> Faults => ["warm-up", "initialize", "inputs", "shapes"];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task TheOldVersionGoesOnWhereTheNewOneDoesNotServe(string fault)
    {
        var old = new VersionedModel(2);
        var next = fault switch
        {
            "warm-up" => new VersionedModel(3) { FailsWarmUp = new InvalidOperationException("bad weights") },
            "initialize" => new VersionedModel(3) { FailsToInitialize = new ModelLoadException("m.onnx", "there is no such file.") },
            "inputs" => new VersionedModel(3) { Refuses = new InvalidInputException("x", "it has 3 values; declared are 4.") },
            _ => new VersionedModel(3) { Shape = 7 },
        };
        await using var host = await StartAsync(old);
        var error = await Assert.ThrowsAsync<ModelReloadException>(() => host.Reloader.ReloadAsync(next).WaitAsync(Minute));
        Assert.Contains("'m' was not reloaded", error.Message);
        Assert.Contains(fault switch { "warm-up" => "bad weights", "initialize" => "no such file", "inputs" => "declared are 4", _ => "other shapes" }, error.Message);
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Equal((1, 0), (old.Loaded, next.Loaded));
        // And a later version may do better.
        await host.Reloader.ReloadAsync(new VersionedModel(5)).WaitAsync(Minute);
        Assert.Equal(5, await host.Client.InferAsync(1));
    }

    [Fact]
    public async Task AVersionIsMadeOfTheOneThatServesWhenItsTurnComes()
    {
        var gate = new TaskCompletionSource();
        var connecting = new SemaphoreSlim(0);
        var second = new VersionedModel(3) { WhileConnecting = () => { connecting.Release(); return gate.Task; } };
        await using var host = await StartAsync(new VersionedModel(2));
        var reload = host.Reloader.ReloadAsync(second);
        await connecting.WaitAsync();
        var following = host.Reloader.ReloadAsync(serving => new VersionedModel(10 * ((VersionedModel)serving).Factor));
        gate.SetResult();
        await Task.WhenAll(reload, following).WaitAsync(Minute);
        Assert.Equal(30, await host.Client.InferAsync(1));
    }

    [Fact]
    public async Task TheOldVersionGoesOnWhereNoneIsMadeOfIt()
    {
        await using var host = await StartAsync(new VersionedModel(2));
        var error = await Assert.ThrowsAsync<ModelReloadException>(() => host.Reloader.ReloadAsync(_ => throw new FormatException("no such version")).WaitAsync(Minute));
        Assert.Contains("'m' was not reloaded, and its present version goes on: no such version", error.Message);
        Assert.Contains("no version was made", (await Assert.ThrowsAsync<ModelReloadException>(() => host.Reloader.ReloadAsync(_ => null!).WaitAsync(Minute))).Message);
        Assert.Equal(2, await host.Client.InferAsync(1));
    }

    [Fact]
    public async Task CancellingBeforeTheSwitchKeepsTheOldVersion()
    {
        using var cancel = new CancellationTokenSource();
        var old = new VersionedModel(2);
        var next = new VersionedModel(3) { WhileConnecting = () => cancel.CancelAsync() };
        await using var host = await StartAsync(old);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => host.Reloader.ReloadAsync(next, cancel.Token).WaitAsync(Minute));
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Equal((1, 0), (old.Loaded, next.Loaded));
    }

    [Fact]
    public async Task AModelThatDoesNotRunIsNotReloaded()
    {
        var host = await ServingHost.StartAsync(m => m.UseRunner(_ => new VersionedModel(2)).WithSlo(Minute), start: false);
        Assert.Contains("does not run", (await Assert.ThrowsAsync<ModelReloadException>(() => host.Reloader.ReloadAsync(new VersionedModel(3)))).Message);
        await host.DisposeAsync();
    }

    [Fact]
    public async Task AFleetSwitchesAsAWholeAndGrowsWithTheNewVersion()
    {
        var provider = new ScriptedProvider();
        var planner = new StaticPlanner(2);
        var old = new VersionedModel(2);
        var next = new VersionedModel(3);
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => old).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => planner).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 2);
        await host.Reloader.ReloadAsync(next).WaitAsync(Minute);
        Assert.Equal((0, 2), (old.Loaded, next.Loaded));
        Assert.Equal(provider.Machines.Where(m => m.State == InstanceState.Running).Select(m => m.Id).Order(), next.ConnectedTo.Order());
        // The machines are the same; one that is lost is replaced by one with the new version.
        Assert.Equal(2, provider.Launches);
        provider.Change(provider.Machines[0].Id, InstanceState.Terminated);
        await host.UntilAsync(_ => next.ConnectedTo.Count == 3);
        await host.UntilAsync(r => r.ReadyInstances == 2);
        Assert.Equal(3, await host.Client.InferAsync(1));
        Assert.Equal((0, 2), (old.Loaded, next.Loaded));
    }

    [Fact]
    public async Task AMachineLostWhileTheNewVersionLoadsIsNoReasonToFail()
    {
        var provider = new ScriptedProvider();
        var old = new VersionedModel(2);
        var connecting = new SemaphoreSlim(0);
        var gate = new TaskCompletionSource();
        var next = new VersionedModel(3) { WhileConnecting = () => { connecting.Release(); return gate.Task; } };
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => old).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var reload = host.Reloader.ReloadAsync(next);
        await connecting.WaitAsync();
        provider.Change(provider.Machines[0].Id, InstanceState.Terminated);
        await host.UntilAsync(r => r.ReadyInstances == 1 && provider.Launches == 2);
        gate.SetResult();
        await reload.WaitAsync(Minute);
        await host.UntilAsync(r => r.ReadyInstances == 1);
        Assert.Equal(3, await host.Client.InferAsync(1).AsTask().WaitAsync(Minute));
        Assert.Equal((0, 1), (old.Loaded, next.Loaded));
    }

    [Fact]
    public async Task LocalSpilloverFollows()
    {
        var entered = new SemaphoreSlim(0);
        var gate = new TaskCompletionSource();
        var old = new VersionedModel(2);
        var next = new VersionedModel(3) { Before = batch => batch[0] == 7 ? Hold() : Task.CompletedTask };
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => old).WithSlo(Minute).UseLocalSpillover(new LocalSpilloverOptions { MaxConcurrency = 2 })
            .WithProfile("in-process", LatencyProfile.Linear(TimeSpan.FromSeconds(50), TimeSpan.Zero, 8)));
        Assert.Equal((2, 0), (old.Loaded, next.Loaded));
        await host.Reloader.ReloadAsync(next).WaitAsync(Minute);
        Assert.Equal((0, 2), (old.Loaded, next.Loaded));
        var running = host.Client.InferAsync(7).AsTask();
        await entered.WaitAsync();
        // The instance is taken to be busy for 50 s, so this one is spilled.
        var spilled = await host.Client.TryInferAsync(1, new() { Timeout = TimeSpan.FromSeconds(20) }).AsTask().WaitAsync(Minute);
        Assert.True(spilled.Spilled);
        Assert.Equal(3, spilled.Value);
        gate.SetResult();
        Assert.Equal(21, await running.WaitAsync(Minute));

        Task Hold()
        {
            entered.Release();
            return gate.Task;
        }
    }

    [Theory]
    [InlineData("warm-up")]
    [InlineData("shapes")]
    [InlineData("cancelled")]
    public async Task WhatTheSpilloverHadReadyGoesWhereTheNewVersionDoesNotServe(string fault)
    {
        using var cancel = new CancellationTokenSource();
        var old = new VersionedModel(2);
        var next = fault switch
        {
            "warm-up" => new VersionedModel(3) { FailsWarmUp = new InvalidOperationException("bad weights") },
            "shapes" => new VersionedModel(3) { Shape = 7 },
            _ => new VersionedModel(3) { WhileConnecting = () => cancel.CancelAsync() },
        };
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => old).WithSlo(Minute).UseLocalSpillover(new LocalSpilloverOptions { MaxConcurrency = 2 }));
        await Assert.ThrowsAnyAsync<Exception>(() => host.Reloader.ReloadAsync(next, cancel.Token).WaitAsync(Minute));
        Assert.Equal((2, 0), (old.Loaded, next.Loaded));
        Assert.NotEmpty(next.ConnectedTo);
        Assert.Equal(2, await host.Client.InferAsync(1));
    }

    [Fact]
    public async Task AnOldCopyThatDoesNotEndCleanlyIsReportedAndTheNewVersionServes()
    {
        var old = new VersionedModel(2);
        var next = new VersionedModel(3);
        await using var target = new LocalSpilloverTarget<int, int>(
            new VersionedModel(2) { FailsToEnd = new InvalidOperationException("stuck") }, (false, 0), new LocalSpilloverOptions { MaxConcurrency = 3 }, "m", TimeProvider.System);
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => old).WithSlo(Minute).UseSpillover(_ => target));
        await target.PrewarmAsync(3, CancellationToken.None);
        await host.Reloader.ReloadAsync(next).WaitAsync(Minute);
        Assert.Equal((0, 2), (old.Loaded, next.Loaded));
        Assert.Equal(3, host.Log.Errors.Count(e => e.Message.Contains("did not end cleanly: stuck")));
        Assert.Equal(3, await host.Client.InferAsync(1));
    }
}
