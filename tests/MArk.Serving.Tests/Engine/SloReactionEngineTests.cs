using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>The monitor in the live engine: real threads, and never a wait for a time, only for a condition.</summary>
public sealed class SloReactionEngineTests
{
    [Fact]
    public async Task RequestsThatMissBringInstancesBetweenTwoPlansAndWarmSpilloverUp()
    {
        var provider = new ScriptedProvider();
        var gate = new GatedDoubler();
        var target = new ColdTarget();
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(gate.RunAsync).WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(10), 1))
            .WithSlo(TimeSpan.FromMilliseconds(50)).UseInstanceProvider(_ => provider).UsePlanner(_ => new One()).UseSpillover(_ => target).WithOptions(o =>
            {
                o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                o.Fleet.PlanInterval = TimeSpan.FromHours(1);
                o.Fleet.Horizon = 2;
                o.Fleet.SloWindow = TimeSpan.FromSeconds(1);
            }));
        Assert.Single(provider.Machines);
        // Nothing is answered, and all of them miss, far more than the 50 a second of one instance.
        var calls = Enumerable.Range(0, 200).Select(i => host.Client.TryInferAsync(i, new InferenceOptions { WhenUnreachable = WhenUnreachable.ServeLate }).AsTask()).ToArray();
        await host.UntilAsync(_ => provider.Machines.Count > 1 && target.Prewarmed > 0);
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("could not be warmed up for", StringComparison.Ordinal)));
        gate.Open(1000);
        await Task.WhenAll(calls);
    }

    private sealed class One : IProvisioningPlanner
    {
        public void Plan(in ProvisioningContext context, FleetPlan plan)
        {
            for (var t = 0; t < plan.Horizon; t++)
            {
                plan.Step(t)[0] = 1;
            }
        }
    }

    private sealed class ColdTarget : ISpilloverTarget<int, int>, IPrewarmable
    {
        private int _prewarmed;

        public int Prewarmed => Volatile.Read(ref _prewarmed);

        public SpilloverQuote GetQuote() => new()
        {
            Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(10)),
            Cold = LatencyQuantiles.Constant(TimeSpan.FromSeconds(10)),
            FreeConcurrency = 0,
            ValidFor = TimeSpan.MaxValue,
        };

        public ValueTask InferAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask PrewarmAsync(int concurrency, CancellationToken cancellationToken)
        {
            Volatile.Write(ref _prewarmed, concurrency);
            throw new InvalidOperationException("no environment");
        }
    }
}
