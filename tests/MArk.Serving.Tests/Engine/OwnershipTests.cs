using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Tests.Engine;

/// <summary>What the engine was given is disposed once, by whoever it belongs to.</summary>
public sealed class OwnershipTests
{
    private static async Task RunAsync(Action<IServiceCollection> add, Action<ModelBuilder<int, int>> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        add(builder.Services);
        builder.Services.AddMArkServing().AddModel<int, int>("m", m => configure(m.UseBatchFunction(HistoryEngineTests.Double)));
        var host = builder.Build();
        await host.StartAsync();
        await host.StopAsync();
        await ((IAsyncDisposable)host).DisposeAsync();
    }

    [Fact]
    public async Task ATargetThatIsMadeForTheModelEndsWithIt()
    {
        var target = new Part();
        await RunAsync(_ => { }, m => m.UseSpillover(_ => target));
        Assert.Equal(1, target.Disposals);
    }

    [Fact]
    public async Task ATargetOfTheContainerIsDisposedByTheContainerAlone()
    {
        var target = new Part();
        await RunAsync(services => services.AddSingleton(_ => target), m => m.UseSpillover(services => services.GetRequiredService<Part>(), disposes: false));
        Assert.Equal(1, target.Disposals);
    }

    [Fact]
    public async Task PartsOfTheFleetAreLeftToTheHost()
    {
        var (provider, predictor, planner) = (new Part(), new Part(), new Part());
        await RunAsync(
            _ => { }, m => m.WithProfile("o", HistoryEngineTests.Profile).UseInstanceProvider(_ => provider).UsePredictor(_ => predictor).UsePlanner(_ => planner));
        Assert.Equal((0, 0, 0), (provider.Disposals, predictor.Disposals, planner.Disposals));
    }

    /// <summary>Any part, and how often it was disposed.</summary>
    private sealed class Part : ISpilloverTarget<int, int>, IInstanceProvider, IWorkloadPredictor, IProvisioningPlanner, IAsyncDisposable
    {
        private readonly ScriptedProvider _provider = new();
        private readonly AutoPredictor _predictor = new();
        private readonly StaticPlanner _planner = new(1);

        public int Disposals { get; private set; }

        public IReadOnlyList<InstanceOffering> Offerings => _provider.Offerings;

        public SpilloverQuote GetQuote() => new() { Warm = default, Cold = default, FreeConcurrency = 0, ValidFor = TimeSpan.FromHours(1) };

        public ValueTask InferAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken) => _provider.LaunchAsync(request, cancellationToken);

        public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken) => _provider.TerminateAsync(instanceId, cancellationToken);

        public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => _provider.ListAsync(fleet, cancellationToken);

        public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => _provider.WatchAsync(fleet, cancellationToken);

        public void Observe(in ArrivalSample sample) => _predictor.Observe(sample);

        public void Forecast(WorkloadForecast forecast) => _predictor.Forecast(forecast);

        public void Plan(in ProvisioningContext context, FleetPlan plan) => _planner.Plan(context, plan);

        public ValueTask DisposeAsync()
        {
            Disposals++;
            return ValueTask.CompletedTask;
        }
    }
}
