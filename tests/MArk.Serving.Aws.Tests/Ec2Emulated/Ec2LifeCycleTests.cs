using System.Diagnostics.Metrics;
using Amazon.EC2.Model;
using CloudHost.Emulators;
using MArk.Serving.Aws.Ec2;
using Microsoft.Extensions.Logging.Abstractions;

namespace MArk.Serving.Aws.Tests.Ec2Emulated;

/// <summary>The life of machines through the real SDK, against EC2 as <c>moto_server</c> emulates it, with real workers.</summary>
public sealed class Ec2LifeCycleTests(MotoFixture fixture) : IAsyncLifetime
{
    private const string Fleet = "digits";

    private readonly string _owner = $"test-{Environment.ProcessId}-{Interlocked.Increment(ref s_tests)}";
    private readonly List<Ec2InstanceProvider> _providers = [];
    private MachineEmulator? _machines;

    private static int s_tests;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var provider in _providers)
        {
            await provider.DisposeAsync();
        }
        if (_machines is not null)
        {
            await _machines.DisposeAsync();
        }
    }

    private Ec2Offering OnDemand => new() { Name = "on-demand", InstanceTypes = { "c5.large" }, ImageId = fixture.Image, UserData = "#!/bin/sh" };

    private static Ec2Offering Spot => new() { Name = "spot", Market = InstanceMarket.Spot, InstanceTypes = { "c5.xlarge", "m5.xlarge" }, LaunchTemplateName = MotoFixture.Template };

    private Ec2Offering SpotByImage => new() { Name = "spot-image", Market = InstanceMarket.Spot, InstanceTypes = { "c5.xlarge" }, ImageId = fixture.Image };

    private static Ec2Offering OnDemandByTemplate => new() { Name = "template", InstanceTypes = { "c5.xlarge" }, LaunchTemplateName = MotoFixture.Template, LaunchTemplateVersion = "$Latest" };

    private Ec2Offering Standby => new() { Name = "standby", Market = InstanceMarket.Standby, InstanceTypes = { "t3.large" }, ImageId = fixture.Image };

    private Ec2Offering[] All => [OnDemand, Spot, SpotByImage, OnDemandByTemplate, Standby];

    private Ec2InstanceProvider Provider(params Ec2Offering[] offerings)
    {
        var options = new Ec2Options { Owner = _owner, Region = MotoServer.Region, PollInterval = TimeSpan.FromMilliseconds(100), ProbeInterval = TimeSpan.FromMilliseconds(50), MaxProbeFailures = 3, Tags = { ["team"] = "tests" } };
        options.UseClient(fixture.Moto.CreateClient).UseEndpoint(MachineEmulator.EndpointOf);
        options.Offerings.AddRange(offerings.Length == 0 ? All : offerings);
        Assert.Empty(options.Violations());
        var provider = new Ec2InstanceProvider(options, Fleet, TimeProvider.System, NullLogger.Instance, new Meter("test"));
        _providers.Add(provider);
        return provider;
    }

    private async Task StartWorkersAsync() =>
        _machines = await MachineEmulator.StartAsync(fixture.Moto.CreateClient(), _owner, new Uri(AppContext.BaseDirectory).AbsoluteUri);

    private async Task<List<Instance>> ListedAsync()
    {
        using var client = fixture.Moto.CreateClient();
        var all = await client.DescribeInstancesAsync(new DescribeInstancesRequest { Filters = [new Filter($"tag:{Ec2Tags.Owner}", [_owner])] });
        return [.. (all.Reservations ?? []).SelectMany(r => r.Instances)];
    }

    private static IAsyncEnumerator<InstanceDescriptor> Watch(Ec2InstanceProvider provider) =>
        provider.WatchAsync(Fleet, TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);

    /// <summary>Launches a machine that has a worker, and waits until it runs.</summary>
    private async Task<InstanceDescriptor> RunAsync(Ec2InstanceProvider provider, IAsyncEnumerator<InstanceDescriptor> watch, string offering)
    {
        await StartWorkersAsync();
        var machine = await provider.LaunchAsync(new LaunchRequest($"{_owner}-1", Fleet, offering), TestContext.Current.CancellationToken);
        await UntilAsync(watch, machine.Id, InstanceState.Running);
        return machine;
    }

    /// <summary>Reads a watch until a machine is as it is to be.</summary>
    private static async Task<InstanceDescriptor> UntilAsync(IAsyncEnumerator<InstanceDescriptor> watch, string id, InstanceState state)
    {
        while (await watch.MoveNextAsync())
        {
            if (watch.Current.Id == id && watch.Current.State == state)
            {
                return watch.Current;
            }
        }
        throw new InvalidOperationException("The watch ended.");
    }

    [Theory]
    [InlineData("on-demand", null)]
    [InlineData("spot", "spot")]
    [InlineData("spot-image", "spot")]
    [InlineData("template", null)]
    public async Task AMachineIsLaunchedWithItsTagsRunsOnceItsWorkerIsReadyAndIsEnded(string offering, string? lifecycle)
    {
        var provider = Provider();
        await using var watch = Watch(provider);
        var request = new LaunchRequest($"{_owner}-1", Fleet, offering);
        var machine = await provider.LaunchAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal((InstanceState.Pending, offering, request.LaunchId), (machine.State, machine.OfferingName, machine.LaunchId));

        var listed = Assert.Single(await ListedAsync());
        Assert.Equal((machine.Id, lifecycle), (listed.InstanceId, listed.InstanceLifecycle?.Value));
        var tags = listed.Tags.ToDictionary(t => t.Key, t => t.Value);
        Assert.Equal(
            (_owner, Fleet, Fleet, offering, request.LaunchId, "tests"),
            (tags[Ec2Tags.Owner], tags[Ec2Tags.Model], tags[Ec2Tags.Fleet], tags[Ec2Tags.Offering], tags[Ec2Tags.Launch], tags["team"]));

        // Until there is a worker it is not more than launched, though EC2 says that it runs.
        Assert.Equal("running", listed.State.Name.Value);
        Assert.Equal(InstanceState.Pending, Assert.Single(await provider.ListAsync(Fleet, TestContext.Current.CancellationToken)).State);
        await StartWorkersAsync();
        var running = await UntilAsync(watch, machine.Id, InstanceState.Running);
        Assert.Equal(MachineEmulator.EndpointOf(listed), running.Endpoint);

        await provider.TerminateAsync(machine.Id, TestContext.Current.CancellationToken);
        await UntilAsync(watch, machine.Id, InstanceState.Terminated);
        Assert.Empty(await provider.ListAsync(Fleet, TestContext.Current.CancellationToken));
        Assert.Equal("terminated", Assert.Single(await ListedAsync()).State.Name.Value);
        // Once more does no harm.
        await provider.TerminateAsync(machine.Id, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task AStandbyMachineIsStoppedAndStarted()
    {
        var provider = Provider();
        await using var watch = Watch(provider);
        var machine = await RunAsync(provider, watch, "standby");

        await provider.StopAsync(machine.Id, TestContext.Current.CancellationToken);
        Assert.Equal(InstanceState.Stopped, Assert.Single(await provider.ListAsync(Fleet, TestContext.Current.CancellationToken)).State);
        Assert.Equal("stopped", Assert.Single(await ListedAsync()).State.Name.Value);
        await provider.StopAsync(machine.Id, TestContext.Current.CancellationToken);

        await provider.StartAsync(machine.Id, TestContext.Current.CancellationToken);
        await UntilAsync(watch, machine.Id, InstanceState.Running);
        Assert.Equal("running", Assert.Single(await ListedAsync()).State.Name.Value);
        await provider.TerminateAsync(machine.Id, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task ASpotMachineThatIsTakenAwayIsToldOfBeforeByItsWorker()
    {
        var provider = Provider();
        await using var watch = Watch(provider);
        var machine = await RunAsync(provider, watch, "spot");

        var taking = _machines!.TakeAwayAsync(machine.Id, TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        var notice = await UntilAsync(watch, machine.Id, InstanceState.Interrupting);
        Assert.NotNull(notice.InterruptedAt);
        Assert.False(taking.IsCompleted);
        await taking;
        await UntilAsync(watch, machine.Id, InstanceState.Terminated);
    }

    [Fact]
    public async Task AMachineWhoseWorkerDiesIsToldOfAsTakenAwayNow()
    {
        var provider = Provider();
        await using var watch = Watch(provider);
        var machine = await RunAsync(provider, watch, "on-demand");
        await _machines!.KillAsync(machine.Id);
        Assert.NotNull((await UntilAsync(watch, machine.Id, InstanceState.Interrupting)).InterruptedAt);
        await provider.TerminateAsync(machine.Id, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task AHostThatCrashedAtAnyStepFindsItsMachinesAgainAndLeavesNone()
    {
        Peers.Require(AwsCli.IsInstalled, "awscli");
        await StartWorkersAsync();
        var token = TestContext.Current.CancellationToken;
        var before = await AwsCli.MachinesAsync(fixture.Moto);

        // Launched, and nobody was told; running; stopped; started again. Each step by a provider of its own: the one before has crashed.
        var launched = await Provider().LaunchAsync(new LaunchRequest($"{_owner}-1", Fleet, "standby"), token);
        var provider = Provider();
        var found = Assert.Single(await provider.ListAsync(Fleet, token));
        Assert.Equal((launched.Id, launched.LaunchId, "standby"), (found.Id, found.LaunchId, found.OfferingName));
        await using (var watch = Watch(provider))
        {
            await UntilAsync(watch, launched.Id, InstanceState.Running);
        }
        provider = Provider();
        Assert.Equal(launched.Id, Assert.Single(await provider.ListAsync(Fleet, token)).Id);
        await provider.StopAsync(launched.Id, token);
        provider = Provider();
        Assert.Equal((launched.Id, InstanceState.Stopped), Assert.Single(await provider.ListAsync(Fleet, token)) is var m ? (m.Id, m.State) : default);
        await provider.StartAsync(launched.Id, token);
        provider = Provider();
        Assert.Single(await provider.ListAsync(Fleet, token));
        await using (var watch = Watch(provider))
        {
            await UntilAsync(watch, launched.Id, InstanceState.Running);
        }
        // Ended, and nobody was told.
        using (var client = fixture.Moto.CreateClient())
        {
            await client.TerminateInstancesAsync(new TerminateInstancesRequest { InstanceIds = [launched.Id] }, token);
        }
        Assert.Empty(await Provider().ListAsync(Fleet, token));
        Assert.DoesNotContain(await AwsCli.MachinesAsync(fixture.Moto), m => m.Contains(launched.Id, StringComparison.Ordinal));
        Assert.NotNull(before);
    }

    [Fact]
    public async Task ALaunchThatIsRepeatedIsOneMachineThoughTheEmulatorHeedsNoToken()
    {
        var request = new LaunchRequest($"{_owner}-1", Fleet, "on-demand");
        var provider = Provider();
        var first = await provider.LaunchAsync(request, TestContext.Current.CancellationToken);
        var second = await provider.LaunchAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(first.Id, second.Id);
        Assert.Single(await ListedAsync());
        await provider.TerminateAsync(first.Id, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task MachinesOfAnotherOwnerOrFleetAreLeftAlone()
    {
        var provider = Provider();
        var other = await provider.LaunchAsync(new LaunchRequest($"{_owner}-1", "another", "on-demand"), TestContext.Current.CancellationToken);
        Assert.Empty(await provider.ListAsync(Fleet, TestContext.Current.CancellationToken));
        var options = new Ec2Options { Owner = _owner + "-else" };
        options.UseClient(fixture.Moto.CreateClient);
        options.Offerings.Add(OnDemand);
        await using var stranger = new Ec2InstanceProvider(options, "another", TimeProvider.System, NullLogger.Instance, new Meter("test"));
        Assert.Empty(await stranger.ListAsync("another", TestContext.Current.CancellationToken));
        await provider.TerminateAsync(other.Id, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task WhatIsRefusedIsTold()
    {
        var wrongImage = OnDemand;
        wrongImage.ImageId = "ami-00000000";
        var wrongType = OnDemand;
        (wrongType.Name, wrongType.PricePerHour) = ("no-type", 1);
        wrongType.InstanceTypes[0] = "x0.enormous";
        var provider = Provider(wrongImage, wrongType);
        var image = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(new LaunchRequest($"{_owner}-1", Fleet, "on-demand"), TestContext.Current.CancellationToken));
        Assert.Equal(LaunchFailure.Misconfigured, image.Failure);
        Assert.Contains("ami-00000000", image.Message, StringComparison.Ordinal);
        var unknown = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(new LaunchRequest($"{_owner}-2", Fleet, "nothing"), TestContext.Current.CancellationToken));
        Assert.Equal(LaunchFailure.Misconfigured, unknown.Failure);
        Assert.Contains("on-demand, no-type", unknown.Message, StringComparison.Ordinal);
        var type = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(new LaunchRequest($"{_owner}-3", Fleet, "no-type"), TestContext.Current.CancellationToken));
        Assert.Equal(LaunchFailure.Misconfigured, type.Failure);
    }

    [Fact]
    public async Task SpotPricesAreLookedUp()
    {
        var provider = Provider();
        var before = provider.Offerings.Single(o => o.Name == "spot");
        await provider.InitializeAsync(TestContext.Current.CancellationToken);
        var spot = provider.Offerings.Single(o => o.Name == "spot");
        // 0.00001 dollars is what the emulator says of every type.
        Assert.Equal(0.00001m, spot.PricePerHour);
        Assert.True(before.PricePerHour > 0.05m && spot.OnDemandPricePerHour == 0.192m && spot.InterruptionsPerHour > 0);
        Assert.Equal(0.085m, provider.Offerings.Single(o => o.Name == "on-demand").PricePerHour);
    }
}
