using System.Net;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>Machines that are stopped, kept, and started again.</summary>
public sealed class StandbyTests
{
    private static readonly (string, string)[] Ours = [("mark-serving:owner", "tests"), ("mark-serving:fleet", "digits"), ("mark-serving:offering", "standby"), ("mark-serving:launch", "l-0")];

    private static async Task<InstanceDescriptor> OnlyAsync(Ec2InstanceProvider provider) => Assert.Single(await provider.ListAsync(Ec2World.Fleet, CancellationToken.None));

    private static async Task<(Ec2InstanceProvider Provider, StubMachine Machine, Ec2World.Watch Watch)> RunningAsync(Ec2World world)
    {
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider(Ec2World.Standby());
        await OnlyAsync(provider);
        var watch = world.WatchOf(provider);
        await watch.NextAsync(InstanceState.Running);
        return (provider, machine, watch);
    }

    [Fact]
    public async Task AMachineIsStoppedWhenEC2SaysSoAndItsWorkerIsNotFollowedMeanwhile()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, watch) = await RunningAsync(world);
        var stop = provider.StopAsync(machine.Id, CancellationToken.None).AsTask();
        // The poll, and the wait for the stop.
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        var probes = world.Stub.CallsOf($"probe {machine.Id}").Count;
        // EC2's lists are late: the machine seems to run, and its worker does not answer any more.
        machine.State = "running";
        machine.Serves = false;
        for (var i = 0; i < 5; i++)
        {
            await world.Time.PassAsync(Ec2World.Poll, count: 2);
        }
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        Assert.Equal(probes, world.Stub.CallsOf($"probe {machine.Id}").Count);
        Assert.False(stop.IsCompleted);
        machine.State = "stopped";
        world.Time.Advance(Ec2World.Poll);
        await stop;
        Assert.Equal(machine.Id, (await watch.NextAsync(InstanceState.Stopped)).Id);
        Assert.Equal(InstanceState.Stopped, (await OnlyAsync(provider)).State);
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
        // Stopping one that is stopped succeeds.
        await provider.StopAsync(machine.Id, CancellationToken.None);
    }

    [Fact]
    public async Task AMachineThatDoesNotStopInTimeIsToldAndFollowedAgain()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, watch) = await RunningAsync(world);
        var stop = provider.StopAsync(machine.Id, CancellationToken.None).AsTask();
        await world.Time.ArmedAsync(TimeSpan.FromMinutes(5));
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        world.Time.Advance(TimeSpan.FromMinutes(5));
        var error = await Assert.ThrowsAsync<AwsRequestException>(() => stop);
        Assert.Contains("did not stop within StopTimeout, 00:05:00", error.Message, StringComparison.Ordinal);
        Assert.Equal("ec2:StopInstances", error.Action);
        machine.State = "running";
        await OnlyAsync(provider);
        Assert.Equal(machine.Id, (await watch.NextAsync(InstanceState.Running)).Id);
    }

    [Fact]
    public async Task AStopThatIsRefusedIsToldAndTheMachineServesOn()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, watch) = await RunningAsync(world);
        world.Stub.Fail("StopInstances", "IncorrectInstanceState", message: "The instance is not in a state from which it can be stopped.");
        var error = await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.StopAsync(machine.Id, CancellationToken.None));
        Assert.Equal("IncorrectInstanceState", error.ErrorCode);
        Assert.Equal(InstanceState.Running, (await OnlyAsync(provider)).State);
        await watch.NextAsync(InstanceState.Running);
        var stop = provider.StopAsync(machine.Id, CancellationToken.None).AsTask();
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        machine.State = "stopped";
        world.Time.Advance(Ec2World.Poll);
        await stop;
    }

    [Fact]
    public async Task AMachineThatIsEndedWhileItStopsIsStoppedEnough()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, _) = await RunningAsync(world);
        var stop = provider.StopAsync(machine.Id, CancellationToken.None).AsTask();
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        world.Time.Advance(Ec2World.Poll);
        await stop;
        Assert.Empty(await provider.ListAsync(Ec2World.Fleet, CancellationToken.None));
    }

    [Fact]
    public async Task AStopThatIsCancelledIsCancelled()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, _) = await RunningAsync(world);
        using var late = new CancellationTokenSource();
        var stop = provider.StopAsync(machine.Id, late.Token).AsTask();
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        await late.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stop);
    }

    [Fact]
    public async Task AStartedMachineIsPendingUntilItsWorkerServesAgain()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("stopped", Ours);
        var provider = world.Provider(Ec2World.Standby());
        var watch = world.WatchOf(provider);
        Assert.Equal(InstanceState.Stopped, (await OnlyAsync(provider)).State);
        await provider.StartAsync(machine.Id, CancellationToken.None);
        Assert.Equal((InstanceState.Pending, null), ((await watch.NextAsync(InstanceState.Pending)).State, (await OnlyAsync(provider)).Endpoint));
        // EC2's lists are late: the machine seems to be stopped.
        machine.State = "stopped";
        Assert.Equal(InstanceState.Pending, (await OnlyAsync(provider)).State);
        world.Time.Advance(TimeSpan.FromSeconds(5));
        machine.State = "running";
        await OnlyAsync(provider);
        Assert.Equal(world.Stub.WorkerOf(machine.Id), (await watch.NextAsync(InstanceState.Running)).Endpoint);
        await world.Time.ArmedAsync(Ec2World.Probe);
        Assert.Contains(world.Log.Entries, e => e.Message.Contains("5.0 s after it was asked for", StringComparison.Ordinal));
        // Starting one that runs succeeds.
        await provider.StartAsync(machine.Id, CancellationToken.None);
        world.Time.Advance(TimeSpan.FromSeconds(5));
        await OnlyAsync(provider);
        await watch.NextAsync(InstanceState.Running);
    }

    [Fact]
    public async Task AMachineWhoseWorkerDrainedRunsAgainOnceItIsStarted()
    {
        await using var world = await Ec2World.StartAsync();
        var (provider, machine, watch) = await RunningAsync(world);
        machine.DrainsUntil = "2026-01-05T12:02:00Z";
        await world.Time.PassAsync(Ec2World.Probe);
        await watch.NextAsync(InstanceState.Interrupting);
        machine.State = "stopped";
        await OnlyAsync(provider);
        machine.DrainsUntil = null;
        await provider.StartAsync(machine.Id, CancellationToken.None);
        machine.State = "running";
        world.Time.Advance(TimeSpan.FromSeconds(5));
        await OnlyAsync(provider);
        Assert.Null((await watch.NextAsync(InstanceState.Running)).InterruptedAt);
    }

    [Theory]
    [InlineData("InsufficientInstanceCapacity", HttpStatusCode.InternalServerError, LaunchFailure.InsufficientCapacity)]
    [InlineData("IncorrectInstanceState", HttpStatusCode.BadRequest, LaunchFailure.Unknown)]
    [InlineData("VcpuLimitExceeded", HttpStatusCode.BadRequest, LaunchFailure.QuotaExceeded)]
    [InlineData("UnauthorizedOperation", HttpStatusCode.Forbidden, LaunchFailure.Misconfigured)]
    public async Task AStartThatIsRefusedSaysWhyAndTheMachineStaysStopped(string code, HttpStatusCode status, LaunchFailure failure)
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("stopped", Ours);
        var provider = world.Provider(Ec2World.Standby());
        await OnlyAsync(provider);
        world.Stub.Fail("StartInstances", code, status);
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.StartAsync(machine.Id, CancellationToken.None));
        Assert.Equal((failure, "standby"), (error.Failure, error.OfferingName));
        Assert.Equal(InstanceState.Stopped, (await OnlyAsync(provider)).State);
    }

    [Fact]
    public async Task MachinesThatAreNotOursAreNeitherStoppedNorStarted()
    {
        await using var world = await Ec2World.StartAsync();
        var (running, stopped) = (world.Stub.Add("running"), world.Stub.Add("stopped"));
        var provider = world.Provider(Ec2World.Standby());
        await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.StopAsync(running.Id, CancellationToken.None));
        await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.StartAsync(stopped.Id, CancellationToken.None));
        Assert.Equal(("running", "stopped"), (running.State, stopped.State));
    }
}
