using System.Collections.Concurrent;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Engine;

/// <summary>Spot and standby machines with the engine: real threads and timers, and never a wait for a time, only for a condition.</summary>
public sealed class StandbyEngineTests
{
    private static readonly InstanceOffering Spot = new() { Name = "spot", Market = InstanceMarket.Spot, PricePerHour = 1 };
    private static readonly InstanceOffering Standby = new() { Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 2, StoppedPricePerHour = 0.1m };

    private static Action<ModelBuilder<int, int>> Fleet(IInstanceProvider provider, BatchFunction<int, int>? function = null, int standbys = 1) => m =>
    {
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4);
        foreach (var offering in provider.Offerings)
        {
            m.WithProfile(offering.Name, profile);
        }
        m.UseBatchFunction(function ?? Double).WithSlo(TimeSpan.FromMinutes(1))
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(o =>
            {
                o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                o.Fleet.Horizon = 3;
                o.Fleet.ScaleInCooldown = TimeSpan.FromMilliseconds(60);
                o.Fleet.SloWindow = TimeSpan.Zero;
                o.Fleet.StandbyInstances = standbys;
            });
    };

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task ThePoolIsStoppedStartedWhereAMachineIsLostStoppedAgainAndEndedAtTheStop()
    {
        var provider = new StandbyProvider(new ScriptedProvider(Spot, Standby));
        await using var host = await ServingHost.StartAsync(Fleet(provider));
        await host.UntilAsync(r => r.ReadyInstances == 1 && r.Fleet!.StoppedInstances == 1);
        Assert.Equal(["stop"], provider.Calls);
        Assert.Equal(8, await host.Client.InferAsync(4));
        provider.Inner.Change(provider.Inner.Machines.Single(m => m.OfferingName == "spot").Id, InstanceState.Terminated);
        await host.UntilAsync(r => r.Fleet is { Resumptions: 1, StoppedInstances: 1, Interruptions: 1 } && r.ReadyInstances == 1);
        Assert.Equal(["stop", "start", "stop"], provider.Calls);
        Assert.Equal(10, await host.Client.InferAsync(5));
        Assert.True(host.Monitor.GetReport().Cost.StandbyCost > 0);
        await host.StopAsync();
        Assert.Empty(provider.Inner.Machines);
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task AStartThatFailsIsReportedAndAnotherMachineIsStarted()
    {
        var failures = 1;
        var provider = new StandbyProvider(new ScriptedProvider(Spot, Standby))
        {
            OnCall = call => call == "start" && Interlocked.Decrement(ref failures) >= 0 ? new InstanceLaunchException("standby", LaunchFailure.InsufficientCapacity, "none left") : null,
        };
        await using var host = await ServingHost.StartAsync(Fleet(provider, standbys: 2));
        await host.UntilAsync(r => r.ReadyInstances == 1 && r.Fleet!.StoppedInstances == 2);
        provider.Inner.Change(provider.Inner.Machines.Single(m => m.OfferingName == "spot").Id, InstanceState.Terminated);
        var report = await host.UntilAsync(r => r.Fleet is { Resumptions: 1 });
        Assert.Equal(1, report.Fleet!.LaunchFailures[LaunchFailure.InsufficientCapacity]);
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("of offering 'standby' could not be started (InsufficientCapacity); another is, or it is tried again:"));
        Assert.Equal(10, await host.Client.InferAsync(5));
    }

    [Fact]
    public async Task AStopThatFailsIsReportedAndServingGoesOn()
    {
        var provider = new StandbyProvider(new ScriptedProvider(Spot, Standby)) { OnCall = call => new InvalidOperationException($"no {call}") };
        await using var host = await ServingHost.StartAsync(Fleet(provider));
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("could not be stopped, and it costs its full price on; it is tried again: no stop")));
        Assert.Equal(10, await host.Client.InferAsync(5));
        await host.StopAsync();
        Assert.Empty(provider.Inner.Machines);
    }

    [Fact]
    public async Task WhatRunsOnAnInterruptedMachineIsTakenBackBeforeItGoesAndServedByAnother()
    {
        var provider = new ScriptedProvider(Spot);
        var held = new TaskCompletionSource();
        var runs = 0;
        var entered = new TaskCompletionSource();
        await using var host = await ServingHost.StartAsync(Fleet(provider, standbys: 0, function: async (batch, sink, token) =>
        {
            if (batch[0] == 21 && Interlocked.Increment(ref runs) == 1)
            {
                entered.SetResult();
                await held.Task.WaitAsync(token);
            }
            await Double(batch, sink, token);
        }));
        var caught = host.Client.InferAsync(21).AsTask();
        await entered.Task;
        provider.Change(provider.Machines.Single().Id, InstanceState.Interrupting, TimeProvider.System.GetUtcNow().AddSeconds(1));
        Assert.Equal(42, await caught);
        Assert.Equal(2, runs);
        held.SetResult();
    }

    [Fact]
    public async Task AProviderThatCannotStopMachinesIsRefusedAnOfferingForStandby()
    {
        var error = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(Fleet(new ScriptedProvider(Spot, Standby))));
        Assert.Contains("offers 'standby' of market Standby, and cannot stop and start machines; accepted is an IStandbyProvider", error.Message);
    }

    [Fact]
    public async Task OfferingsThatDoNotFitTogetherAreRefused()
    {
        var error = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(Fleet(new ScriptedProvider(Spot))));
        Assert.Contains("offers 'spot', none of market Standby, and Fleet:StandbyInstances is 1; accepted is 0, or an offering of market Standby.", error.Message);
        error = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(Fleet(new StandbyProvider(new ScriptedProvider(Standby)))));
        Assert.Contains("offers 'standby', all of market Standby; accepted is at least one that can be planned.", error.Message);
        error = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(Fleet(new ScriptedProvider(Spot with { InterruptionsPerHour = -1 }), standbys: 0)));
        Assert.Contains("has an offering outside its contract: 'spot', of market Spot, has -1 interruptions an hour", error.Message);
    }

    private sealed class StandbyProvider(ScriptedProvider inner) : IStandbyProvider
    {
        public ScriptedProvider Inner { get; } = inner;

        public ConcurrentQueue<string> Calls { get; } = new();

        public Func<string, Exception?> OnCall { get; init; } = _ => null;

        public IReadOnlyList<InstanceOffering> Offerings => Inner.Offerings;

        public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken) => Inner.LaunchAsync(request, cancellationToken);

        public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken) => Inner.TerminateAsync(instanceId, cancellationToken);

        public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => Inner.ListAsync(fleet, cancellationToken);

        public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => Inner.WatchAsync(fleet, cancellationToken);

        public ValueTask StopAsync(string instanceId, CancellationToken cancellationToken) => Call("stop", instanceId, InstanceState.Stopped);

        public ValueTask StartAsync(string instanceId, CancellationToken cancellationToken) => Call("start", instanceId, InstanceState.Running);

        private ValueTask Call(string call, string instanceId, InstanceState state)
        {
            Calls.Enqueue(call);
            if (OnCall(call) is { } error)
            {
                throw error;
            }
            Inner.Change(instanceId, state);
            return ValueTask.CompletedTask;
        }
    }
}
