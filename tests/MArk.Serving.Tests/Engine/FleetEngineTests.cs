using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using MArk.Serving.Spillover;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>The engine with a fleet: real threads and timers at intervals of milliseconds, and never a wait for a time, only for a condition.</summary>
public sealed class FleetEngineTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    private static Action<ModelBuilder<int, int>> Fleet(IInstanceProvider provider, Func<IServiceProvider, IProvisioningPlanner>? planner = null, BatchFunction<int, int>? function = null) => m =>
    {
        m.UseBatchFunction(function ?? Double).WithWarmUpInput(0).WithSlo(Minute).UseInstanceProvider(_ => provider).WithOptions(Quick);
        if (planner is not null)
        {
            m.UsePlanner(planner);
        }
    };

    private static void Quick(Configuration.ModelOptions options)
    {
        options.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
        options.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
        options.Fleet.Horizon = 3;
        options.Fleet.ScaleInCooldown = TimeSpan.FromMilliseconds(60);
        options.Fleet.SloWindow = TimeSpan.FromMilliseconds(100);
    }

    [Fact]
    public async Task AFleetFollowsThePlanUpAndDownAndNothingIsLeft()
    {
        var provider = new ScriptedProvider();
        var planner = new MutablePlanner { Wanted = 1 };
        var host = await ServingHost.StartAsync(Fleet(provider, _ => planner));
        Assert.Equal(1, host.Monitor.GetReport().ReadyInstances);
        Assert.Equal(14, await host.Client.InferAsync(7));
        planner.Wanted = 4;
        await host.UntilAsync(r => r.ReadyInstances == 4);
        Assert.Equal(16, await host.Client.InferAsync(8));
        planner.Wanted = 2;
        await host.UntilAsync(r => r.ReadyInstances == 2 && provider.Machines.Count == 2);
        await host.StopAsync();
        Assert.Empty(provider.Machines);
        var cost = host.Monitor.GetReport().Cost;
        Assert.Equal((4, 4), (cost.Launched, cost.Terminated));
        Assert.True(cost.InstanceCost > 0);
        Assert.Equal(Math.Round((decimal)cost.InstanceTime.TotalHours, 12), Math.Round(cost.InstanceCost, 12));
        Assert.Empty(host.Log.Errors);
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
            plan.Explanation = new PlanExplanation { Summary = "as told" };
        }
    }

    [Fact]
    public async Task AMachineServesNobodyBeforeItIsWarm()
    {
        var provider = new ScriptedProvider();
        var planner = new MutablePlanner { Wanted = 1 };
        var model = new SlowToWarm();
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => model).WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1))
            .WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => planner).WithOptions(Quick).WithOptions(o => o.MaxBatchSize = 1));
        Assert.Equal(1, host.Monitor.GetReport().ReadyInstances);
        try
        {
            planner.Wanted = 2;
            Assert.True(await model.IsWarming.WaitAsync(Minute));
            await Task.WhenAll(Enumerable.Range(0, 100).Select(i => host.Client.InferAsync(i).AsTask())).WaitAsync(Minute);
            Assert.Equal(1, host.Monitor.GetReport().ReadyInstances);
            Assert.Equal(1, Assert.Single(model.Served.Keys));
            model.IsWarm.SetResult();
            await host.UntilAsync(r => r.ReadyInstances == 2);
        }
        finally
        {
            model.IsWarm.TrySetResult();
        }
    }

    /// <summary>Whose second machine runs its sample for as long as the test says.</summary>
    private sealed class SlowToWarm : IBatchRunnerFactory<int, int>
    {
        private const int Sample = -1;
        private int _connected;

        public SemaphoreSlim IsWarming { get; } = new(0);

        public TaskCompletionSource IsWarm { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>How many each machine has served.</summary>
        public ConcurrentDictionary<int, int> Served { get; } = new();

        public bool TryCreateSample(out int sample)
        {
            sample = Sample;
            return true;
        }

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new Runner(this, Interlocked.Increment(ref _connected)));

        private sealed class Runner(SlowToWarm model, int number) : IBatchRunner<int, int>
        {
            public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
            {
                if (batch[0] != Sample)
                {
                    model.Served.AddOrUpdate(number, 1, (_, count) => count + 1);
                }
                else if (number == 2)
                {
                    model.IsWarming.Release();
                    await model.IsWarm.Task;
                }
                await Double(batch, sink, cancellationToken);
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task ALoadThatGrowsBringsInstancesAndOneThatEndsLetsThemGo()
    {
        // One request at a time, and 20 ms each: an instance does 50/s, and 40 callers ask for far more.
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(Double).WithProfile("local", new LatencyProfile([new(1, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(10))]))
            .UseLocalInstances(new LocalOffering { DeviceTimeScale = 2, MaxInstances = 3 }).WithOptions(Quick).WithOptions(o => o.MaxBatchSize = 1));
        using var stop = new CancellationTokenSource();
        var callers = Enumerable.Range(0, 40).Select(async i =>
        {
            while (!stop.IsCancellationRequested)
            {
                Assert.Equal(2 * i, await host.Client.InferAsync(i));
                await Task.Yield();
            }
        }).ToArray();
        var busy = await host.UntilAsync(r => r.ReadyInstances == 3);
        Assert.True(busy.ForecastPeak > 0);
        Assert.Contains("the cheapest fleet", busy.PlanExplanation.ToString());
        await stop.CancelAsync();
        await Task.WhenAll(callers);
        await host.UntilAsync(r => r.ReadyInstances == 1 && r.ForecastPeak == 0);
    }

    [Fact]
    public async Task WhatRanOnAMachineThatDiesIsServedByAnother()
    {
        var provider = new ScriptedProvider();
        var gate = new GatedDoubler();
        gate.Open(20);
        var planner = new MutablePlanner { Wanted = 1 };
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(gate.RunAsync).WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4))
            .WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => planner).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        while (gate.Entered.CurrentCount < 20)
        {
            await host.Client.InferAsync(0);
        }
        var caught = host.Client.InferAsync(21).AsTask();
        while (!gate.Batches.Any(b => b.Contains(21)))
        {
            await Task.Yield();
        }
        var dead = provider.Machines.Single().Id;
        provider.Change(dead, InstanceState.Terminated);
        await host.UntilAsync(_ => gate.Batches.Count(b => b.Contains(21)) == 2);
        Assert.False(caught.IsCompleted);
        gate.Open();
        Assert.Equal(42, await caught);
        Assert.NotEqual(dead, Assert.Single(provider.Machines).Id);
    }

    [Fact]
    public async Task AnInterruptedMachineFinishesWhatItHasAndIsReplaced()
    {
        var provider = new ScriptedProvider();
        await using var host = await ServingHost.StartAsync(Fleet(provider, _ => new StaticPlanner(1)));
        var first = provider.Machines.Single().Id;
        provider.Change(first, InstanceState.Interrupting);
        await host.UntilAsync(r => r.ReadyInstances == 1 && provider.Machines.All(m => m.Id != first));
        Assert.Equal(6, await host.Client.InferAsync(3));
    }

    [Fact]
    public async Task MachinesOfAnEarlierRunAreTakenOver()
    {
        var provider = new ScriptedProvider();
        var old = provider.Add("earlier-1", "o");
        await using var host = await ServingHost.StartAsync(Fleet(provider, _ => new StaticPlanner(1)));
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Equal(old.Id, Assert.Single(provider.Machines).Id);
        Assert.Equal(0, provider.Launches);
    }

    [Fact]
    public async Task FailuresOfTheProviderAreReportedTriedAgainAndServingGoesOn()
    {
        var failures = 2;
        var watches = 0;
        var provider = new ScriptedProvider
        {
            OnWatch = () => Interlocked.Increment(ref watches) == 1 ? new InvalidOperationException("no watch") : null,
            OnTerminate = _ => Interlocked.Decrement(ref failures) >= 0 ? new InvalidOperationException("no end") : null,
        };
        var planner = new MutablePlanner { Wanted = 2 };
        await using var host = await ServingHost.StartAsync(Fleet(provider, _ => planner));
        await host.UntilAsync(r => r.ReadyInstances == 2);
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("The watch over fleet 'm' broke"));
        planner.Wanted = 1;
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("it costs on; it is tried again: no end")));
        Assert.Equal(4, await host.Client.InferAsync(2));
    }

    [Fact]
    public async Task ALaunchThatFailsIsReportedByNameAndTheHostStartsWithoutAnInstance()
    {
        var provider = new ScriptedProvider { OnLaunch = r => new InvalidOperationException("out of machines") };
        await using var host = await ServingHost.StartAsync(m =>
        {
            Fleet(provider)(m);
            m.WithOptions(o => o.Fleet.StartTimeout = TimeSpan.FromMilliseconds(1));
        });
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e is InstanceLaunchException { OfferingName: "o", Failure: LaunchFailure.Unknown } && e.Message.Contains("out of machines")));
        Assert.Contains(host.Log.Errors, e => e.Message.Contains("was ready within Fleet:StartTimeout"));
        var result = await host.Client.TryInferAsync(1, new InferenceOptions { Timeout = TimeSpan.FromSeconds(1), WhenUnreachable = WhenUnreachable.Reject });
        Assert.IsType<InferenceRejectedException>(result.Error);
    }

    [Fact]
    public async Task AModelThatFailsItsWarmUpFailsTheStartAndNothingIsLeft()
    {
        var provider = new ScriptedProvider();
        var error = await Assert.ThrowsAsync<ServingException>(() => ServingHost.StartAsync(Fleet(provider, function: (batch, _, _) =>
            batch.Count >= 4 ? throw new InvalidOperationException("too much") : ValueTask.CompletedTask)));
        Assert.Contains("failed its warm-up at batch size 4: too much", error.Message);
        Assert.Empty(provider.Machines);
    }

    [Fact]
    public async Task AStandInWithoutAnInputToMeasureWithIsRefusedWithTheCallThatHelps()
    {
        var error = await Assert.ThrowsAsync<ServingException>(() => ServingHost.StartAsync(m => m
            .UseBatchFunction(Double).UseLocalInstances(new LocalOffering { DeviceTimeScale = 10 }).WithOptions(Quick)));
        Assert.Contains("call WithWarmUpInput or WithProfile", error.Message);
    }

    [Fact]
    public async Task AStandInTakesItsDevicesTime()
    {
        // The profile says 1 ms, and the device is 30 times slower: 29 ms longer than the function, which takes microseconds, and never less.
        var profile = new LatencyProfile([new(1, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1))]);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(Double).WithProfile("local", profile).UseLocalInstances(new LocalOffering { DeviceTimeScale = 30, MaxInstances = 9, PricePerHour = 1 }).WithOptions(Quick));
        Assert.Equal(10, await host.Client.InferAsync(5));
        await host.UntilAsync(r => r.Succeeded == 1);
        var report = host.Monitor.GetReport();
        Assert.Equal(30, report.DeviceTimeScale);
        Assert.True(report.P50 >= TimeSpan.FromMilliseconds(28.5), $"{report.P50}");
        Assert.True(host.Monitor.GetProfiles()["local"].Mean(1) >= TimeSpan.FromMilliseconds(29));
    }

    [Fact]
    public async Task WhatTheFleetCannotFinishInTimeIsSpilledAndPaidFor()
    {
        // An instance takes 10 s for a request, by its profile; the SLO is 1 s: only spillover can keep it.
        var profile = new LatencyProfile([new(1, TimeSpan.FromMilliseconds(900), TimeSpan.FromMilliseconds(900))]);
        var never = new TaskCompletionSource();
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                await never.Task.WaitAsync(token);
                await Double(batch, sink, token);
            })
            .WithProfile("o", profile).WithSlo(TimeSpan.FromSeconds(1)).UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(1))
            .UseSpillover(Double, () => new SpilloverQuote
            {
                Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                FreeConcurrency = 100,
                PricePerCall = 0.25m,
                ValidFor = Minute,
            })
            .WithOptions(Quick).WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        var stuck = host.Client.InferAsync(1).AsTask();
        await host.UntilAsync(r => r.Waiting == 0);
        for (var i = 0; i < 8; i++)
        {
            var result = await host.Client.TryInferAsync(i);
            Assert.True(result.Spilled);
            Assert.Equal(2 * i, result.Value);
        }
        var report = await host.UntilAsync(r => r.Spilled == 8);
        Assert.Equal((2.00m, 8L), (report.Cost.SpilloverCost, report.Cost.SpilledRequests));
        await host.StopAsync();
        await Assert.ThrowsAnyAsync<ServingException>(() => stuck);
    }

    [Fact]
    public async Task CallsThatAreReusedWhileOthersAreSpilledNeverMixUp()
    {
        const int Each = 200;
        // A device of 5 ms under an SLO of 8 ms: with 64 callers most requests are spilled, and calls go back to the pool all the time.
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(Double).WithProfile("local", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.Zero, 16))
            .WithSlo(TimeSpan.FromMilliseconds(8)).UseLocalInstances(new LocalOffering { DeviceTimeScale = 5 }).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick)
            .UseSpillover(
                async (batch, sink, token) =>
                {
                    await Double(batch, sink, token);
                    // The caller has its answer, and may call again, before the target returns.
                    await Task.Yield();
                    await Task.Yield();
                },
                () => new SpilloverQuote
                {
                    Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(0.1)),
                    Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(0.1)),
                    FreeConcurrency = 32,
                    ValidFor = Minute,
                }));
        await Task.WhenAll(Enumerable.Range(0, 64).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < Each; i++)
            {
                var result = await host.Client.TryInferAsync(Each * caller + i);
                if (result.Succeeded)
                {
                    Assert.Equal(2 * (Each * caller + i), result.Value);
                }
            }
        })));
        var report = await host.UntilAsync(r => r.Succeeded + r.Rejected == 64 * Each);
        // How many depends on how quick the machine is.
        Assert.True(report.Spilled > 0, $"{report.Spilled}");
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task TheLocalSpilloverRunsTheModelOutsideTheFleetUnderItsLimit()
    {
        var running = 0;
        var most = 0;
        var entered = new SemaphoreSlim(0);
        var gate = new SemaphoreSlim(0);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                if (batch[0] > 0)
                {
                    most = Math.Max(most, Interlocked.Increment(ref running));
                    entered.Release();
                    await gate.WaitAsync(token);
                    Interlocked.Decrement(ref running);
                }
                await Double(batch, sink, token);
            })
            .WithWarmUpInput(0).WithSlo(Minute).UseLocalSpillover(new LocalSpilloverOptions { MaxConcurrency = 2, PricePerRequest = 0.5m })
            .UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(0)).WithOptions(Quick)
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4))
            .WithOptions(o => o.Fleet.MinInstances = 0));
        var first = Enumerable.Range(1, 2).Select(i => host.Client.TryInferAsync(i).AsTask()).ToArray();
        await entered.WaitAsync();
        await entered.WaitAsync();
        // Both copies run: a third request with a deadline of its own can go nowhere.
        var third = await host.Client.TryInferAsync(3, new InferenceOptions { Timeout = TimeSpan.FromSeconds(30) });
        Assert.Equal(RejectionReason.NoCapacity, Assert.IsType<InferenceRejectedException>(third.Error).Reason);
        gate.Release(2);
        Assert.All(await Task.WhenAll(first), r => Assert.True(r.Spilled));
        Assert.Equal(2, most);
        var report = await host.UntilAsync(r => r.Spilled == 2);
        Assert.Equal((1.0m, 0.0m), (report.Cost.SpilloverCost, report.Cost.InstanceCost));
    }

    [Fact]
    public void LocalSpilloverSettingsAreRefusedByName()
    {
        Assert.Contains("MaxConcurrency is 0; accepted: at least 1", Assert.Throws<ArgumentException>(() => new LocalSpilloverOptions { MaxConcurrency = 0 }.Validate()).Message);
        Assert.Contains("PricePerRequest is -1", Assert.Throws<ArgumentException>(() => new LocalSpilloverOptions { PricePerRequest = -1 }.Validate()).Message);
        Assert.Contains("DeviceTimeScale is 0", Assert.Throws<ArgumentException>(() => new LocalSpilloverOptions { DeviceTimeScale = 0 }.Validate()).Message);
    }

    [Fact]
    public async Task ARunnerThatNeverEndsDoesNotKeepItsMachineOrItsCallers()
    {
        var provider = new ScriptedProvider();
        var never = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (_, _, _) =>
            {
                entered.Release();
                await never.Task;
            })
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4))
            .WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick)
            .WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        var calls = Enumerable.Range(0, 5).Select(i => host.Client.TryInferAsync(i).AsTask()).ToArray();
        await entered.WaitAsync();
        await host.StopAsync();
        Assert.All(await Task.WhenAll(calls), r => Assert.Equal(RejectionReason.Draining, r.RejectionReason));
        Assert.Empty(provider.Machines);
        // What runs at last, or fails, ends nobody twice.
        never.SetException(new InvalidOperationException("late"));
        await host.DisposeAsync();
    }

    [Fact]
    public async Task ABatchThatIsCancelledByAHardStopIsNotRunAgain()
    {
        var entered = new SemaphoreSlim(0);
        var runs = 0;
        var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (_, _, token) =>
            {
                Interlocked.Increment(ref runs);
                entered.Release();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            })
            .WithProfile("in-process", LatencyProfile.Linear(TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(1), 4))
            .WithSlo(Minute).WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        var calls = Enumerable.Range(0, 5).Select(i => host.Client.TryInferAsync(i).AsTask()).ToArray();
        await entered.WaitAsync();
        await host.StopAsync();
        Assert.All(await Task.WhenAll(calls), r => Assert.False(r.Succeeded));
        Assert.Equal(1, runs);
        Assert.Empty(host.Log.Errors);
        await host.DisposeAsync();
    }

    [Fact]
    public async Task ASpilloverTargetWithoutAQuoteIsReportedAndTakesNothing()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double).WithSlo(Minute).UseSpillover(Double, () => throw new InvalidOperationException("no price")));
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Contains(host.Log.Errors, e => e is ContractViolationException && e.Message.Contains("threw from GetQuote"));
    }

    private sealed class NothingToOffer : IInstanceProvider
    {
        public IReadOnlyList<InstanceOffering> Offerings => [];

        public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken) => throw new InvalidOperationException();

        public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken) => throw new InvalidOperationException();

        public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => throw new InvalidOperationException();

        public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => throw new InvalidOperationException();
    }

    private sealed class NoSlots : IBatchRunnerFactory<int, int>, IBatchRunner<int, int>
    {
        public int Slots => 0;

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => Double(batch, sink, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    [Fact]
    public async Task ProvidersAndRunnersThatOfferNothingFailTheStartByName()
    {
        var provider = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(m => m.UseBatchFunction(Double).UseInstanceProvider(_ => new NothingToOffer())));
        Assert.Contains("NothingToOffer", provider.Message);
        var runner = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(m => m.UseRunner(_ => new NoSlots())));
        Assert.Contains("0 slots", runner.Message);
    }

    private sealed class ThrowingPredictor : IWorkloadPredictor
    {
        public void Observe(in ArrivalSample sample) => throw new InvalidOperationException("observe");

        public void Forecast(WorkloadForecast forecast) => throw new InvalidOperationException("forecast");
    }

    [Fact]
    public async Task APredictorThatThrowsIsReportedAndServingGoesOn()
    {
        var provider = new ScriptedProvider();
        await using var host = await ServingHost.StartAsync(m =>
        {
            Fleet(provider)(m);
            m.UsePredictor(_ => new ThrowingPredictor());
        });
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("threw from Forecast")) && host.Log.Errors.Any(e => e.Message.Contains("threw from Observe")));
        Assert.Equal(2, await host.Client.InferAsync(1));
    }

    [Theory]
    [InlineData("MinInstances", "5", "0 to MaxInstances, 3")]
    [InlineData("MaxInstances", "0", "1 to 10000")]
    [InlineData("SampleInterval", "00:00:00.001", "00:00:00.010 to 01:00:00")]
    [InlineData("PlanInterval", "00:00:01", "SampleInterval, 00:00:05, to 1.00:00:00")]
    [InlineData("Horizon", "0", "1 to 1440")]
    [InlineData("TimeZone", "Nowhere", "the name of a time zone that this machine knows, such as UTC or Europe/Berlin")]
    [InlineData("ScaleInCooldown", "-00:00:01", "00:00:00 to 7.00:00:00")]
    [InlineData("StartTimeout", "2.00:00:00", "00:00:00 to 1.00:00:00")]
    public async Task FleetSettingsAreCheckedAtStartByKey(string key, string value, string accepted)
    {
        var settings = new Dictionary<string, string?> { ["MArk:Models:m:Fleet:MaxInstances"] = "3", [$"MArk:Models:m:Fleet:{key}"] = value };
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => ServingHost.StartAsync(m => m.UseBatchFunction(Double).UseInstanceProvider(_ => new ScriptedProvider()), settings));
        Assert.Contains($"MArk:Models:m:Fleet:{key} is ", error.Message);
        Assert.Contains(accepted, error.Message);
    }

    [Fact]
    public async Task TheMeterTellsRequestsInstancesAndMoney()
    {
        var seen = new System.Collections.Concurrent.ConcurrentDictionary<string, double>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter.Name == "MArk.Serving")
                {
                    l.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => Add(i.Name, v, tags));
        listener.Start();
        await using var host = await ServingHost.StartAsync(Fleet(new ScriptedProvider(), _ => new StaticPlanner(2)), model: "metered");
        await host.UntilAsync(r => r.ReadyInstances == 2);
        await host.Client.InferAsync(1);
        await host.UntilAsync(r => r.Succeeded == 1);
        listener.RecordObservableInstruments();
        Assert.Equal(1, seen["mark.serving.requests in_time"]);
        Assert.Equal(0, seen["mark.serving.requests failed"]);
        Assert.Equal(2, seen["mark.serving.instances ready"]);
        Assert.Equal(0, seen["mark.serving.queue.length "]);
        Assert.Equal(1, seen["mark.serving.batch.size idle_instance"]);
        Assert.True(seen["mark.serving.request.duration instance"] > 0);
        Assert.True(seen["mark.serving.cost instances on_demand"] > 0);
        Assert.Equal(0, seen["mark.serving.cost spillover"]);
        Assert.True(seen["mark.serving.cost.on_demand_peak "] >= seen["mark.serving.cost instances on_demand"]);
        Assert.Equal(2, seen["mark.serving.fleet.hourly_spend "]);
        Assert.Equal(0, seen["mark.serving.fleet.launch_failures throttled"]);
        Assert.Equal(0, seen["mark.serving.fleet.plan_bounds hourly_spend"]);
        Assert.Equal(0, seen["mark.serving.fleet.never_ready "]);
        Assert.Equal(0, seen["mark.serving.slo.breaches "]);
        Assert.Equal(1, seen["mark.serving.slo.attainment "]);
        var report = host.Monitor.GetReport();
        Assert.Equal((2m, 0L, 0L, 1.0), (report.Fleet!.HourlySpend, report.Fleet.NeverReady, report.Fleet.SloBreaches, report.Fleet.RecentAttainment));
        Assert.Equal(report.Cost.Total, report.CostPerRequest);

        void Add(string name, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var model = "";
            var rest = "";
            foreach (var (key, tag) in tags)
            {
                if (key == "mark.model")
                {
                    model = (string)tag!;
                }
                else
                {
                    rest += rest.Length > 0 ? $" {tag}" : tag;
                }
            }
            if (model == "metered")
            {
                seen[$"{name} {rest}"] = value;
            }
        }
    }

    [Fact]
    public async Task ReportsComeByInterval()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double).WithSlo(TimeSpan.FromMinutes(1)));
        await host.Client.InferAsync(1);
        var report = await host.UntilAsync(r => r.Succeeded == 1);
        Assert.Equal(("m", 1L, 1.0, 1), (report.ModelName, report.Offered, report.SloAttainment, report.ReadyInstances));
        var idle = await host.UntilAsync(r => r.ArrivalRate == 0);
        Assert.Equal((0.0, TimeSpan.Zero), (idle.MeanBatch, idle.P99));
        Assert.Throws<ArgumentOutOfRangeException>(() => host.Monitor.WatchAsync(TimeSpan.Zero).GetAsyncEnumerator().MoveNextAsync().AsTask().GetAwaiter().GetResult());
    }
}
