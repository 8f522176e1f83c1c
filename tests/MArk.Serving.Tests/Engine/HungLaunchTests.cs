namespace MArk.Serving.Tests.Engine;

/// <summary>A launch call that does not end is cancelled when its time is over, and the capacity is had elsewhere: real timers, waits for conditions only.</summary>
public sealed class HungLaunchTests
{
    [Fact]
    public async Task ACallThatHangsIsCancelledAndAnotherOfferingServes()
    {
        var provider = new HangingProvider(new ScriptedProvider(new InstanceOffering { Name = "hangs", PricePerHour = 1 }, new InstanceOffering { Name = "works", PricePerHour = 2 }));
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4);
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(new GatedDoubler().RunAsync).WithProfile("hangs", profile).WithProfile("works", profile).UseInstanceProvider(_ => provider).WithOptions(o =>
            {
                o.Fleet.StartTimeout = TimeSpan.Zero;
                o.Fleet.ReadyTimeout = TimeSpan.FromSeconds(1);
            }));
        var report = await host.UntilAsync(r => r.ReadyInstances == 1);
        Assert.Equal((1L, 1L), (report.Fleet!.NeverReady, report.Fleet.LaunchFailures[LaunchFailure.Unknown]));
        Assert.Equal("works", Assert.Single(provider.Inner.Machines).OfferingName);
        await provider.Cancelled.Task;
    }

    private sealed class HangingProvider(ScriptedProvider inner) : IInstanceProvider
    {
        public ScriptedProvider Inner { get; } = inner;

        public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IReadOnlyList<InstanceOffering> Offerings => Inner.Offerings;

        public async ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
        {
            if (request.OfferingName == "works")
            {
                return await Inner.LaunchAsync(request, cancellationToken);
            }
            await using var registration = cancellationToken.Register(() => Cancelled.TrySetResult());
            await Cancelled.Task;
            throw new OperationCanceledException(cancellationToken);
        }

        public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken) => Inner.TerminateAsync(instanceId, cancellationToken);

        public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => Inner.ListAsync(fleet, cancellationToken);

        public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => Inner.WatchAsync(fleet, cancellationToken);
    }
}
