using System.Collections.Concurrent;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 9: instances and threads by the core count unless set, and several models on one machine under a core budget.</summary>
public sealed class CoresOfModelsTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(8, 7)]
    public async Task AModelWithoutAProviderServesOnAllCoresButOne(int cores, int instances)
    {
        var runners = new Runners();
        await using var host = await Machine.StartAsync(cores, ("m", m => m.UseRunner(_ => runners)));
        Assert.Equal(instances, host.InstancesOf("m"));
        Assert.Equal(instances, host.Budget.Held);
        Assert.All(runners.Granted, g => Assert.Equal(1, g.Threads));
        Assert.Equal(14, await host.Client("m").InferAsync(7));
        Assert.Empty(host.Log.Warnings);
    }

    [Fact]
    public async Task ManyCoresAreThreadsRatherThanCopiesOfTheModel()
    {
        var runners = new Runners();
        await using var host = await Machine.StartAsync(32, ("m", m => m.UseRunner(_ => runners)));
        Assert.Equal(7, host.InstancesOf("m"));
        Assert.All(runners.Granted, g => Assert.Equal(4, g.Threads));
        Assert.Equal(28, host.Budget.Held);
    }

    [Theory]
    [InlineData(1, 1, 1, "b")]
    [InlineData(2, 1, 1, null)]
    [InlineData(8, 4, 3, null)]
    public async Task TwoModelsDivideTheCoresAndTheOneWithoutIsNamed(int cores, int first, int second, string? shares)
    {
        await using var host = await Machine.StartAsync(cores, ("a", m => m.UseRunner(_ => new Runners())), ("b", m => m.UseRunner(_ => new Runners())));
        Assert.Equal((first, second), (host.InstancesOf("a"), host.InstancesOf("b")));
        Assert.Equal((2, 4), (await host.Client("a").InferAsync(1), await host.Client("b").InferAsync(2)));
        Assert.Equal(Math.Min(cores, first + second), host.Budget.Held);
        if (shares is null)
        {
            Assert.Empty(host.Log.Warnings);
        }
        else
        {
            Assert.Contains($"Model '{shares}' holds 0 of {cores} cores, which is too few for it (instances: 1, threads of each: 1)", Assert.Single(host.Log.Warnings));
        }
    }

    [Fact]
    public async Task ThreeModelsOnTwoCoresAllServe()
    {
        await using var host = await Machine.StartAsync(
            2, ("a", m => m.UseRunner(_ => new Runners())), ("b", m => m.UseBatchFunction(Runners.Double)), ("c", m => m.UseRunner(_ => new Runners())));
        foreach (var model in (string[])["a", "b", "c"])
        {
            Assert.Equal(1, host.InstancesOf(model));
            Assert.Equal(6, await host.Client(model).InferAsync(3));
        }
        Assert.Contains("Model 'c'", Assert.Single(host.Log.Warnings));
    }

    [Fact]
    public async Task WhatIsSetWins()
    {
        var (set, other) = (new Runners(), new Runners());
        await using var host = await Machine.StartAsync(
            8, ("other", m => m.UseRunner(_ => other)), ("set", m => m.UseRunner(_ => set).WithConcurrency(2, threads: 2)));
        Assert.Equal((3, 2), (host.InstancesOf("other"), host.InstancesOf("set")));
        Assert.Equal([2, 2], set.Granted.Select(g => g.Threads));
        Assert.Equal(7, host.Budget.Held);
    }

    [Fact]
    public async Task WhatIsSetInConfigurationWinsToo()
    {
        var runners = new Runners();
        await using var host = await Machine.StartAsync(
            new CoreBudget(8), new() { ["MArk:Models:m:Instances"] = "3", ["MArk:Models:m:Threads"] = "2" }, ("m", m => m.UseRunner(_ => runners)));
        Assert.Equal([2, 2, 2], runners.Granted.Select(g => g.Threads));
    }

    [Fact]
    public async Task MoreThanThereIsCanBeSetAndTheLogSaysWhatThatMeans()
    {
        await using var host = await Machine.StartAsync(2, ("m", m => m.UseRunner(_ => new Runners()).WithConcurrency(3)));
        Assert.Equal((3, 2), (host.InstancesOf("m"), host.Budget.Held));
        Assert.Contains("Model 'm' holds 2 of 2 cores, which is too few for it (instances: 3, threads of each: 1)", Assert.Single(host.Log.Warnings));
    }

    [Fact]
    public async Task ARunnerThatComputesElsewhereHasOneInstanceAndHoldsNoCore()
    {
        var elsewhere = new Runners();
        await using var host = await Machine.StartAsync(
            8, ("gpu", m => m.UseRunner(_ => elsewhere, threads: 0)), ("cpu", m => m.UseRunner(_ => new Runners())),
            ("waits", m => m.UseBatchFunction(Runners.Double, concurrency: 20).WithOptions(o => o.Threads = 0)));
        Assert.Equal((1, 7, 20), (host.InstancesOf("gpu"), host.InstancesOf("cpu"), host.InstancesOf("waits")));
        Assert.Equal(0, Assert.Single(elsewhere.Granted).Threads);
        Assert.Equal(7, host.Budget.Held);
        Assert.Empty(host.Log.Warnings);
    }

    [Fact]
    public async Task ARunnerOnThePoolHasOneInstanceAndGivesTheOtherCoresBack()
    {
        await using var host = await Machine.StartAsync(8, ("m", m => m.UseRunner(_ => new Runners { BlocksThread = false })));
        Assert.Equal((1, 1), (host.InstancesOf("m"), host.Budget.Held));
    }

    [Fact]
    public async Task AFunctionKeepsItsConcurrencyAndHoldsACoreForEachBatchAtATime()
    {
        await using var host = await Machine.StartAsync(
            8, ("one", m => m.UseBatchFunction(Runners.Double)), ("three", m => m.UseBatchFunction(Runners.Double, concurrency: 3)), ("rest", m => m.UseRunner(_ => new Runners())));
        Assert.Equal((1, 3, 3), (host.InstancesOf("one"), host.InstancesOf("three"), host.InstancesOf("rest")));
        Assert.Equal(7, host.Budget.Held);
    }

    [Fact]
    public async Task LocalInstancesAreAsManyAsTheCoresAndOthersLeaveThemTheirShare()
    {
        await using var host = await Machine.StartAsync(
            8, ("fixed", m => m.UseRunner(_ => new Runners())),
            ("fleet", m => m.UseRunner(_ => new Runners()).UseLocalInstances().UsePlanner(_ => new StaticPlanner(4)).WithWarmUpInput(1).WithOptions(o => o.Fleet.PlanInterval = o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(20))));
        Assert.Equal(4, host.InstancesOf("fixed"));
        await host.UntilAsync("fleet", r => r.ReadyInstances == 4);
        Assert.Equal(8, host.Budget.Held);
    }

    [Fact]
    public async Task AFleetThatStartsLastStillHasACore()
    {
        await using var host = await Machine.StartAsync(
            1, ("fixed", m => m.UseRunner(_ => new Runners())), ("fleet", m => m.UseRunner(_ => new Runners()).UseLocalInstances()));
        Assert.Equal((1, 1), (host.InstancesOf("fixed"), host.InstancesOf("fleet")));
        Assert.Equal((2, 4), (await host.Client("fixed").InferAsync(1), await host.Client("fleet").InferAsync(2)));
    }

    [Fact]
    public async Task CoresAreGivenBackAtTheStop()
    {
        var host = await Machine.StartAsync(
            8, ("a", m => m.UseRunner(_ => new Runners())), ("b", m => m.UseBatchFunction(Runners.Double)), ("c", m => m.UseRunner(_ => new Runners()).UseLocalInstances(1)));
        Assert.NotEqual(0, host.Budget.Held);
        await host.StopAsync();
        Assert.Equal(0, host.Budget.Held);
        await host.DisposeAsync();
        Assert.Equal(0, host.Budget.Held);
    }

    [Fact]
    public async Task CoresAreGivenBackWhereTheStartFails()
    {
        var budget = new CoreBudget(8);
        await Assert.ThrowsAsync<ModelLoadException>(() => Machine.StartAsync(
            budget, settings: null, ("good", m => m.UseRunner(_ => new Runners())), ("bad", m => m.UseRunner(_ => new Runners { IsBroken = true }))));
        Assert.Equal(0, budget.Held);
    }

    [Theory]
    [InlineData(0, 1, "MArk:Models:m:Instances is 0; accepted: 1 to 1024")]
    [InlineData(1025, 1, "MArk:Models:m:Instances is 1025; accepted: 1 to 1024")]
    [InlineData(1, -1, "MArk:Models:m:Threads is -1; accepted: 0 to 1024")]
    [InlineData(1, 1025, "MArk:Models:m:Threads is 1025; accepted: 0 to 1024")]
    public async Task BadValuesAreNamedWithWhatIsAccepted(int instances, int threads, string says)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => Machine.StartAsync(2, ("m", m => m.UseRunner(_ => new Runners()).WithConcurrency(instances, threads))));
        Assert.Contains(says, error.Message);
    }

    [Fact]
    public async Task InstancesOfAProviderCannotBeSetAsWell()
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => Machine.StartAsync(2, ("m", m => m.UseRunner(_ => new Runners()).WithConcurrency(2).UseLocalInstances())));
        Assert.Contains("Instances is 2; accepted: nothing, as the model's instances come from a provider", error.Message);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1025)]
    public async Task BadThreadsOfARunnerAreNamed(int threads)
    {
        var error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Machine.StartAsync(2, ("m", m => m.UseRunner(_ => new Runners(), threads))));
        Assert.Contains($"The threads of model 'm' are {threads}; accepted: 0 to 1024", error.Message);
    }

    /// <summary>Runners that compute on threads of their own, and what their instances were granted.</summary>
    private sealed class Runners : IBatchRunnerFactory<int, int>
    {
        public ConcurrentQueue<InstanceDescriptor> Granted { get; } = new();

        public bool BlocksThread { get; init; } = true;

        public bool IsBroken { get; init; }

        public ValueTask InitializeAsync(CancellationToken cancellationToken) => IsBroken ? throw new ModelLoadException("nowhere", "it is broken.") : ValueTask.CompletedTask;

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
        {
            Granted.Enqueue(instance);
            return new(new Runner(BlocksThread));
        }

        public static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
            return ValueTask.CompletedTask;
        }

        private sealed class Runner(bool blocksThread) : IBatchRunner<int, int>
        {
            public bool BlocksThread => blocksThread;

            public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => Double(batch, sink, cancellationToken);

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }

    /// <summary>A host with several models, on a machine with so many cores.</summary>
    private sealed class Machine(IHost host, CoreBudget budget, ServingHost.Journal log) : IAsyncDisposable
    {
        public CoreBudget Budget { get; } = budget;

        public ServingHost.Journal Log { get; } = log;

        public static Task<Machine> StartAsync(int cores, params (string Name, Action<ModelBuilder<int, int>> Configure)[] models) =>
            StartAsync(new CoreBudget(cores), settings: null, models);

        public static async Task<Machine> StartAsync(CoreBudget budget, Dictionary<string, string?>? settings, params (string Name, Action<ModelBuilder<int, int>> Configure)[] models)
        {
            var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            var log = new ServingHost.Journal();
            builder.Logging.AddProvider(log);
            builder.Configuration.AddInMemoryCollection(settings);
            builder.Services.AddSingleton(budget);
            var serving = builder.Services.AddMArkServing();
            foreach (var (name, configure) in models)
            {
                serving.AddModel<int, int>(name, m =>
                {
                    m.WithSlo(TimeSpan.FromMinutes(1));
                    configure(m);
                });
            }
            var machine = new Machine(builder.Build(), budget, log);
            try
            {
                await machine.StartAsync();
            }
            catch
            {
                // A host that did not start is not stopped either.
                await machine.DisposeHostAsync();
                throw;
            }
            return machine;
        }

        public IModelClient<int, int> Client(string model) => host.Services.GetRequiredKeyedService<IModelClient<int, int>>(model);

        public int InstancesOf(string model) => Monitor(model).GetReport().ReadyInstances;

        public async Task UntilAsync(string model, Func<ModelReport, bool> condition)
        {
            using var giveUp = new CancellationTokenSource(TimeSpan.FromMinutes(1));
            await foreach (var report in Monitor(model).WatchAsync(TimeSpan.FromMilliseconds(5), giveUp.Token))
            {
                if (condition(report))
                {
                    return;
                }
            }
            throw new TimeoutException($"It never came to that: {Monitor(model).GetReport()}");
        }

        public Task StopAsync() => host.StopAsync();

        public async ValueTask DisposeAsync()
        {
            await host.StopAsync();
            await DisposeHostAsync();
        }

        private ValueTask DisposeHostAsync() => ((IAsyncDisposable)host).DisposeAsync();

        private Task StartAsync() => host.StartAsync();

        private IModelMonitor Monitor(string model) => host.Services.GetRequiredKeyedService<IModelMonitor>(model);
    }
}
