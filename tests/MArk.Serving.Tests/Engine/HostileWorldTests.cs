using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using MArk.Serving.Batching;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Tests.Engine;

/// <summary>Providers, runners, listeners and callers that do what they should not: nothing else is lost, and no loop ends.</summary>
public sealed class HostileWorldTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LatencyProfile OneAtATime = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1);

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    private static void Quick(Configuration.ModelOptions options)
    {
        options.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
        options.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
        options.Fleet.Horizon = 3;
        options.Fleet.ScaleInCooldown = TimeSpan.FromMilliseconds(60);
    }

    private static async Task<T> Soon<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(60));

    [Theory]
    [InlineData(60)]
    [InlineData(1e6)]
    [InlineData(double.PositiveInfinity)]
    public async Task ADeadlineInTheFarFutureIsADeadline(double days)
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).UseBatchPolicy(_ => new NoBatchingPolicy()));
        var options = new InferenceOptions { Timeout = double.IsFinite(days) ? TimeSpan.FromDays(days) : TimeSpan.MaxValue };
        var first = host.Client.InferAsync(1, options).AsTask();
        await doubler.Entered.WaitAsync();
        var second = host.Client.InferAsync(2, options).AsTask();
        doubler.Open();
        Assert.Equal((2, 4), (await Soon(first), await Soon(second)));
        Assert.Equal(6, await Soon(host.Client.InferAsync(3, options).AsTask()));
        Assert.Empty(host.Log.Errors);
    }

    /// <summary>Connecting waits, for the machines the test holds.</summary>
    private sealed class GatedFactory : IBatchRunnerFactory<int, int>
    {
        private int _hold;

        public TaskCompletionSource Gate { get; } = new();

        public SemaphoreSlim Entered { get; } = new(0);

        public ConcurrentQueue<string> Ran { get; } = new();

        public string? Held { get; private set; }

        public void HoldNext() => Volatile.Write(ref _hold, 1);

        public async ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
        {
            if (Interlocked.Exchange(ref _hold, 0) == 1)
            {
                Held = instance.Id;
                Entered.Release();
                await Gate.Task;
            }
            return new Runner(this, instance.Id);
        }

        private sealed class Runner(GatedFactory factory, string id) : IBatchRunner<int, int>
        {
            public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
            {
                factory.Ran.Enqueue(id);
                await Task.Yield();
                await Double(batch, sink, cancellationToken);
            }

            public ValueTask DisposeAsync()
            {
                factory.Ran.Enqueue($"disposed {id}");
                return ValueTask.CompletedTask;
            }
        }
    }

    [Fact]
    public async Task AMachineThatDiesWhileItIsConnectedNeverServes()
    {
        var provider = new ScriptedProvider();
        var factory = new GatedFactory();
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => factory).WithProfile("o", OneAtATime).WithSlo(Minute)
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(2)).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 2);
        factory.HoldNext();
        provider.Change(provider.Machines[0].Id, InstanceState.Terminated);
        await factory.Entered.WaitAsync();
        provider.Change(factory.Held!, InstanceState.Terminated);
        await host.UntilAsync(r => r.ReadyInstances == 2);
        factory.Gate.SetResult();
        await host.UntilAsync(_ => factory.Ran.Contains($"disposed {factory.Held}"));
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => host.Client.InferAsync(i).AsTask()));
        Assert.DoesNotContain(factory.Held, factory.Ran);
    }

    [Fact]
    public async Task AMachineThatIsStillConnectingAtAHardStopIsEnded()
    {
        var provider = new ScriptedProvider();
        var factory = new GatedFactory();
        factory.HoldNext();
        var host = await ServingHost.StartAsync(m => m.UseRunner(_ => factory).WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => provider)
            .UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick).WithOptions(o =>
            {
                o.Fleet.MinInstances = 0;
                o.DrainTimeout = TimeSpan.Zero;
            }));
        await factory.Entered.WaitAsync();
        var call = host.Client.TryInferAsync(1).AsTask();
        await host.StopAsync();
        Assert.Empty(provider.Machines);
        Assert.Equal(RejectionReason.Draining, (await Soon(call)).RejectionReason);
        factory.Gate.SetResult();
        while (!factory.Ran.Contains($"disposed {factory.Held}"))
        {
            await Task.Yield();
        }
        await host.DisposeAsync();
    }

    private sealed class MutablePlanner : IProvisioningPlanner
    {
        public volatile int Wanted;

        public void Plan(in ProvisioningContext context, FleetPlan plan)
        {
            for (var t = 0; t < plan.Horizon; t++)
            {
                plan.Step(t)[0] = Wanted;
            }
        }
    }

    [Fact]
    public async Task AMachineThatDrainsForEverIsEndedByTheStop()
    {
        var provider = new ScriptedProvider();
        var planner = new MutablePlanner { Wanted = 1 };
        var never = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (_, _, _) =>
            {
                entered.Release();
                await never.Task;
            })
            .WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => planner).WithOptions(Quick)
            .WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.TryInferAsync(1).AsTask();
        await entered.WaitAsync();
        planner.Wanted = 0;
        await host.UntilAsync(r => r.DrainingInstances == 1);
        await host.StopAsync();
        Assert.Empty(provider.Machines);
        Assert.False((await Soon(call)).Succeeded);
        await host.DisposeAsync();
    }

    /// <summary>A provider whose list and watch the test changes.</summary>
    private sealed class OddProvider(ScriptedProvider inner) : IInstanceProvider
    {
        public bool ListFails { get; init; }

        public bool WatchIsSilent { get; init; }

        public bool WatchTellsNothingFirst { get; init; }

        public bool WatchIsDeaf { get; init; }

        public IReadOnlyList<InstanceOffering> Offerings => inner.Offerings;

        public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken) => inner.LaunchAsync(request, cancellationToken);

        public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken) => inner.TerminateAsync(instanceId, cancellationToken);

        public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) =>
            ListFails ? throw new InvalidOperationException("no list") : inner.ListAsync(fleet, cancellationToken);

        public async IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (WatchTellsNothingFirst)
            {
                yield return null!;
            }
            await foreach (var change in inner.WatchAsync(fleet, WatchIsDeaf ? CancellationToken.None : cancellationToken))
            {
                if (!WatchIsSilent)
                {
                    yield return change;
                }
            }
        }
    }

    private static Task<ServingHost> StartAsync(IInstanceProvider provider) => ServingHost.StartAsync(m => m
        .UseBatchFunction(Double).WithWarmUpInput(0).WithSlo(Minute).UsePlanner(_ => new StaticPlanner(1)).UseInstanceProvider(_ => provider).WithOptions(Quick));

    [Fact]
    public async Task WhatTheWatchMissesTheListTells()
    {
        var machines = new ScriptedProvider();
        await using var host = await StartAsync(new OddProvider(machines) { WatchIsSilent = true });
        Assert.Equal(1, host.Monitor.GetReport().ReadyInstances);
        var dead = machines.Machines.Single().Id;
        machines.Change(dead, InstanceState.Terminated);
        await host.UntilAsync(r => r.ReadyInstances == 1 && machines.Machines is [var next] && next.Id != dead);
    }

    [Fact]
    public async Task NonsenseFromTheWatchIsReportedAndTheLoopGoesOn()
    {
        await using var host = await StartAsync(new OddProvider(new ScriptedProvider()) { WatchTellsNothingFirst = true });
        Assert.Equal(2, await host.Client.InferAsync(1));
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("OddProvider could not be handled, and is left out")));
    }

    private sealed class ThrowingLog : ILoggerProvider, ILogger
    {
        private int _thrown;

        public int Thrown => Volatile.Read(ref _thrown);

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is ServingException)
            {
                Interlocked.Increment(ref _thrown);
                throw new InvalidOperationException("the disk is full");
            }
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    [Fact]
    public async Task ALoggerThatThrowsEndsNeitherTheFleetsLoopNorTheStop()
    {
        var machines = new ScriptedProvider();
        var log = new ThrowingLog();
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<ILoggerProvider>(log);
            m.UseBatchFunction(Double).WithWarmUpInput(0).WithSlo(Minute).UsePlanner(_ => new StaticPlanner(1))
                .UseInstanceProvider(_ => new OddProvider(machines) { WatchTellsNothingFirst = true }).WithOptions(Quick).WithOptions(o => o.Fleet.MinInstances = 0);
        });
        await host.UntilAsync(r => r.ReadyInstances == 1 && log.Thrown > 0);
        var dead = machines.Machines.Single().Id;
        machines.Change(dead, InstanceState.Terminated);
        await host.UntilAsync(r => r.ReadyInstances == 1 && machines.Machines is [var next] && next.Id != dead);
        Assert.Equal(2, await Soon(host.Client.InferAsync(1).AsTask()));
        await host.StopAsync();
        Assert.Empty(machines.Machines);
    }

    [Fact]
    public async Task AListThatFailsAtTheStartFailsIt()
    {
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(new OddProvider(new ScriptedProvider()) { ListFails = true }));
        Assert.Equal("no list", error.Message);
    }

    [Fact]
    public async Task AWatchThatDoesNotHeedItsTokenIsLeftBehind()
    {
        var machines = new ScriptedProvider();
        await using var host = await StartAsync(new OddProvider(machines) { WatchIsDeaf = true });
        await host.StopAsync();
        Assert.Empty(machines.Machines);
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("does not heed its token"));
    }

    [Fact]
    public async Task AConnectFailureIsReportedWhereNobodyWaitsForTheFirstInstance()
    {
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction((_, _, _) => throw new InvalidOperationException("boom")).WithWarmUpInput(0).UsePlanner(_ => new StaticPlanner(1))
            .UseInstanceProvider(_ => new ScriptedProvider()).WithOptions(Quick).WithOptions(o => o.Fleet.MinInstances = 0));
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("boom")));
    }

    [Fact]
    public async Task AnOfferingThatIsTooSlowGivesWayToOneThatIsNotMeasuredYet()
    {
        var provider = new ScriptedProvider(new InstanceOffering { Name = "cheap", PricePerHour = 1 }, new InstanceOffering { Name = "dear", PricePerHour = 2 });
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(Double).WithWarmUpInput(0).WithSlo(TimeSpan.FromMilliseconds(50)).UseInstanceProvider(_ => provider).WithOptions(Quick)
            .WithProfile("cheap", LatencyProfile.Linear(Minute, Minute, 4)));
        await host.UntilAsync(_ => provider.Machines.Any(m => m.OfferingName == "dear"));
        Assert.Equal(2, await host.Client.InferAsync(1));
    }

    [Fact]
    public async Task AListenerThatThrowsIsReportedAndServingGoesOn()
    {
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Name == "mark.serving.batch.size")
                {
                    l.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>((_, _, tags, _) =>
        {
            foreach (var (_, value) in tags)
            {
                if (Equals(value, "listened"))
                {
                    throw new InvalidOperationException("listener");
                }
            }
        });
        listener.Start();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double).WithSlo(Minute), model: "listened");
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Equal(4, await Soon(host.Client.InferAsync(2).AsTask()));
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("A listener to the meter"));
    }

    [Fact]
    public async Task ALateAnswerDoesNotMeetAnotherBatch()
    {
        IBatchSink<int>? old = null;
        var entered = new SemaphoreSlim(0);
        var gate = new SemaphoreSlim(0);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                if (old is null)
                {
                    old = sink;
                    return;
                }
                entered.Release();
                await gate.WaitAsync(token);
                await Double(batch, sink, token);
            })
            .WithSlo(Minute));
        Assert.IsType<ContractViolationException>((await host.Client.TryInferAsync(1)).Error);
        var second = host.Client.InferAsync(2).AsTask();
        await entered.WaitAsync();
        old!.SetResult(0, 777);
        Assert.Contains(host.Log.Errors, e => e is ContractViolationException && e.Message.Contains("a second result for request 0"));
        gate.Release();
        Assert.Equal(4, await Soon(second));
    }

    [Fact]
    public async Task ACallersMemoryIsNeverGivenToTwoRunsAtATime()
    {
        var provider = new ScriptedProvider();
        var never = new TaskCompletionSource();
        var got = new ConcurrentQueue<bool>();
        var entered = new SemaphoreSlim(0);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                got.Enqueue(sink.TryGetDestination(0, out _));
                if (got.Count == 1)
                {
                    entered.Release();
                    await never.Task;
                }
                await Double(batch, sink, token);
            })
            .WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.InferIntoAsync(1, 5).AsTask();
        await entered.WaitAsync();
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        Assert.Equal(2, await Soon(call));
        Assert.Equal([true, false], got);
        never.SetResult();
    }

    [Fact]
    public async Task ARunThatFailedDoesNotGiveBackTheMemoryThatALostOneHolds()
    {
        var provider = new ScriptedProvider();
        var never = new TaskCompletionSource();
        var got = new ConcurrentQueue<(int Count, bool Given)>();
        var entered = new SemaphoreSlim(0);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                if (batch.Inputs.IndexOf(1) is >= 0 and var index)
                {
                    got.Enqueue((batch.Count, sink.TryGetDestination(index, out _)));
                }
                if (got.Count == 1)
                {
                    entered.Release();
                    await never.Task;
                }
                if (batch.Count > 1)
                {
                    throw new InvalidOperationException("together");
                }
                await Double(batch, sink, token);
            })
            .UseBatchPolicy(_ => new Scheduling.EagerPolicy())
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4)).WithSlo(Minute)
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.InferIntoAsync(1, 5).AsTask();
        await entered.WaitAsync();
        var other = host.Client.InferAsync(2).AsTask();
        await host.UntilAsync(r => r.Waiting == 1);
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        Assert.Equal((2, 4), (await Soon(call), await Soon(other)));
        Assert.Equal([(1, true), (2, false), (1, false)], got);
        never.SetResult();
    }

    [Fact]
    public async Task ARunThatFailedGivesTheCallersMemoryBackToTheNext()
    {
        var got = new ConcurrentQueue<(int Count, bool Given)>();
        var first = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                if (batch[0] == 99)
                {
                    entered.Release();
                    await first.Task;
                }
                for (var i = 0; i < batch.Count; i++)
                {
                    got.Enqueue((batch.Count, sink.TryGetDestination(i, out _)));
                }
                if (batch.Count > 1)
                {
                    throw new InvalidOperationException("together");
                }
                await Double(batch, sink, token);
            })
            .WithSlo(Minute));
        var hold = host.Client.InferAsync(99).AsTask();
        await entered.WaitAsync();
        var calls = Enumerable.Range(0, 2).Select(i => host.Client.InferIntoAsync(i, 5).AsTask()).ToArray();
        first.SetResult();
        Assert.Equal(198, await Soon(hold));
        var answers = await Soon(Task.WhenAll(calls));
        Assert.Equal([0, 2], answers);
        Assert.Equal([(1, false), (2, true), (2, true), (1, true), (1, true)], got);
    }

    [Fact]
    public async Task ATokenCallbackThatThrowsKeepsNobodyWaiting()
    {
        var never = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (_, _, token) =>
            {
                token.Register(() => throw new InvalidOperationException("callback"));
                entered.Release();
                await never.Task;
            })
            .WithSlo(Minute).WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        var call = host.Client.TryInferAsync(1).AsTask();
        await entered.WaitAsync();
        await host.StopAsync();
        Assert.Equal(RejectionReason.Draining, (await Soon(call)).RejectionReason);
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("callback"));
        never.SetResult();
        await host.DisposeAsync();
    }

    [Fact]
    public async Task EveryRequestIsCountedOnceWhateverBecomesOfItsInstanceAndHost()
    {
        var provider = new ScriptedProvider();
        var never = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        var runs = 0;
        var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                // The first request of each batch is answered; the rest hangs.
                sink.SetResult(0, 2 * batch[0]);
                if (Interlocked.Increment(ref runs) > 1)
                {
                    entered.Release();
                    await never.Task.WaitAsync(token);
                }
                else
                {
                    await entered.WaitAsync(token);
                }
            })
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(0.1), 8)).WithSlo(Minute)
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick).WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var calls = new List<Task<InferenceResult<int>>> { host.Client.TryInferAsync(0).AsTask() };
        await Soon(calls[0]);
        calls.AddRange(Enumerable.Range(1, 5).Select(i => host.Client.TryInferAsync(i).AsTask()));
        entered.Release();
        await entered.WaitAsync();
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        await host.UntilAsync(_ => Volatile.Read(ref runs) > 2);
        await host.StopAsync();
        var results = await Soon(Task.WhenAll(calls));
        var report = host.Monitor.GetReport();
        Assert.Equal((6, results.Count(r => r.Succeeded)), (report.Offered, report.Succeeded));
        Assert.Equal(report.Offered, report.Succeeded + report.Failed + report.Rejected + report.Cancelled);
        await host.DisposeAsync();
    }

    [Theory]
    [InlineData("invalid", InferenceStatus.Invalid, 0, 0, 0)]
    [InlineData("not ready", InferenceStatus.Rejected, 2, 2, 0)]
    [InlineData("broken", InferenceStatus.Failed, 2, 0, 2)]
    public async Task WhatIsNotAdmittedIsCountedAsItsCallerIsTold(string why, InferenceStatus status, int offered, int rejected, int failed)
    {
        Exception refuses = why switch
        {
            "invalid" => new InvalidInputException("x", "it has 3 values; declared are 4."),
            "not ready" => new InferenceRejectedException("m", RejectionReason.NoCapacity),
            _ => new InvalidOperationException("the codec is broken"),
        };
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => new VersionedModel(2) { Refuses = refuses }));
        Assert.Equal(status, (await Soon(host.Client.TryInferAsync(1).AsTask())).Status);
        Assert.Equal(status, (await Soon(host.Client.TryInferManyAsync(new[] { 1 }).AsTask())).Single().Status);
        var report = host.Monitor.GetReport();
        Assert.Equal((offered, 0, rejected, failed), (report.Offered, report.Succeeded, report.Rejected, report.Failed));
    }
}
