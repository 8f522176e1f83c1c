using System.Diagnostics.Metrics;
using System.Net;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>What becomes of machines: by what EC2 says of them, and by what their workers say.</summary>
public sealed class FollowingTests
{
    private static readonly (string, string)[] Ours = [("mark-serving:owner", "tests"), ("mark-serving:fleet", "digits"), ("mark-serving:offering", "c5.large"), ("mark-serving:launch", "l-0")];

    private static async Task<IReadOnlyList<InstanceDescriptor>> ListAsync(Ec2InstanceProvider provider) => await provider.ListAsync(Ec2World.Fleet, CancellationToken.None);

    private static (string, string)[] OursAs(string offering, string launch = "l-0") => [Ours[0], Ours[1], ("mark-serving:offering", offering), ("mark-serving:launch", launch)];

    [Fact]
    public async Task AMachineRunsOnceItsWorkerServes()
    {
        await using var world = await Ec2World.StartAsync();
        var took = new List<double>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, it) => { if (instrument.Meter == world.Meter) { it.EnableMeasurementEvents(instrument); } } };
        listener.SetMeasurementEventCallback<double>((_, seconds, tags, _) =>
        {
            took.Add(seconds);
            Assert.Equal(
                [("mark.model", Ec2World.Fleet), ("mark.offering", "c5.large"), ("mark.market", "on_demand"), ("mark.instance.type", "c5.large")],
                tags.ToArray().Select(t => (t.Key, $"{t.Value}")));
        });
        listener.Start();
        var provider = world.Provider();
        var launched = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        var watch = world.WatchOf(provider);
        var machine = world.Stub.Find(launched.Id);

        // It takes its time: EC2 to start the machine, and the machine to start its worker.
        for (var i = 0; i < 5; i++)
        {
            await world.PollAsync();
        }
        Assert.Equal(InstanceState.Pending, Assert.Single(await ListAsync(provider)).State);
        Assert.Empty(world.Stub.CallsOf($"probe {machine.Id}"));
        (machine.State, machine.Serves) = ("running", false);
        await ListAsync(provider);
        await world.Time.PassAsync(Ec2World.Probe);
        await world.Time.ArmedAsync(Ec2World.Probe);
        Assert.Equal(InstanceState.Pending, Assert.Single(await ListAsync(provider)).State);
        machine.Serves = true;
        await world.Time.PassAsync(Ec2World.Probe);
        var running = await watch.NextAsync(InstanceState.Running);
        Assert.Equal((launched.Id, "l-1", "c5.large", world.Stub.WorkerOf(machine.Id)), (running.Id, running.LaunchId, running.OfferingName, running.Endpoint));
        Assert.Equal(running, Assert.Single(await ListAsync(provider)));
        await world.Time.ArmedAsync(Ec2World.Probe);
        Assert.Equal([27.0], took);
        Assert.Contains(world.Log.Entries, e => e.Message.Contains("27.0 s after it was asked for", StringComparison.Ordinal));

        // One that is followed anew has not become ready anew.
        world.Stub.Fail("StopInstances", "UnsupportedOperation");
        await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.StopAsync(machine.Id, CancellationToken.None));
        await ListAsync(provider);
        await watch.NextAsync(InstanceState.Running);
        await world.Time.ArmedAsync(Ec2World.Probe);
        Assert.Equal([27.0], took);
    }

    [Fact]
    public async Task AWorkerIsReachedAtItsMachinesAddress()
    {
        await using var world = await Ec2World.StartAsync();
        foreach (var isPublic in new[] { false, true })
        {
            var asked = new TaskCompletionSource<string>();
            var options = new Ec2Options { Owner = "tests", PollInterval = Ec2World.Poll, UsePublicAddress = isPublic, WorkerPort = 8123, ProbeTimeout = TimeSpan.FromHours(1) };
            options.Offerings.Add(Ec2World.OnDemand());
            options.UseClient(() => Ec2World.ClientOf(world.Stub.Address)).ConfigureProbes(handler => handler.ConnectCallback = (context, _) =>
            {
                asked.TrySetResult($"{context.InitialRequestMessage.RequestUri}");
                throw new IOException("as it was told to");
            });
            var provider = world.Provider(options);
            var machine = world.Stub.Find((await provider.LaunchAsync(Ec2World.Launch($"l-{isPublic}"), CancellationToken.None)).Id);
            machine.State = "running";
            await ListAsync(provider);
            Assert.Equal($"http://{(isPublic ? "192.0.2.1" : "10.0.0.1")}:8123/v2/health/ready", await asked.Task.WaitAsync(TimeSpan.FromSeconds(30)));
            machine.State = "terminated";
        }
    }

    [Fact]
    public async Task AfterARestartMachinesAreFoundByTheirTagsAndOthersAreLeftAlone()
    {
        await using var world = await Ec2World.StartAsync();
        var before = world.Provider(Ec2World.OnDemand(), Ec2World.Standby());
        var first = await before.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        var second = await before.LaunchAsync(Ec2World.Launch("l-2", "standby"), CancellationToken.None);
        (world.Stub.Find(first.Id).State, world.Stub.Find(second.Id).State) = ("running", "stopped");
        await before.DisposeAsync();
        foreach (var (key, value) in new[] { ("mark-serving:owner", "others"), ("mark-serving:fleet", "letters"), ("mark-serving:owner", "Tests"), ("mark-serving:owner", "tests2") })
        {
            world.Stub.Add("running", [.. Ours.Where(t => t.Item1 != key), (key, value)]);
        }
        world.Stub.Add("running");
        world.Stub.Add("terminated", Ours);
        // Even if EC2 listed them.
        foreach (var ignoresFilters in new[] { false, true })
        {
            world.Stub.IgnoresFilters = ignoresFilters;
            foreach (var terminated in world.Stub.Machines.Where(m => m.State == "terminated"))
            {
                terminated.IsListed = false;
            }
            var provider = world.Provider(Ec2World.OnDemand(), Ec2World.Standby());
            await provider.InitializeAsync(CancellationToken.None);
            var watch = world.WatchOf(provider);
            var listed = (await ListAsync(provider)).ToDictionary(m => m.LaunchId);
            Assert.Equal(["l-1", "l-2"], listed.Keys.Order());
            Assert.Equal((second.Id, InstanceState.Stopped, "standby"), (listed["l-2"].Id, listed["l-2"].State, listed["l-2"].OfferingName));
            Assert.Equal(world.Stub.Now, listed["l-1"].BilledFrom);
            Assert.Equal(first.Id, (await watch.NextAsync(InstanceState.Running)).Id);
            await provider.DisposeAsync();
        }
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
    }

    [Theory]
    [InlineData("a*")]
    [InlineData("a?c")]
    [InlineData(@"a\b")]
    public async Task NamesWithWhatEC2sFiltersTakeForWildcardsMeanThemselves(string owner)
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.Owner = owner;
        var provider = world.Provider(options);
        world.Stub.Add("running", [.. Ours.Skip(1), ("mark-serving:owner", "abc")]);
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        options = world.Options();
        options.Owner = owner;
        Assert.Equal([machine.Id], (await ListAsync(world.Provider(options))).Select(m => m.Id));
    }

    [Fact]
    public async Task AMachineOfAnOfferingThatIsNoMoreIsListedAndNotAsked()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", OursAs("m5.large"));
        var provider = world.Provider();
        var listed = Assert.Single(await ListAsync(provider));
        Assert.Equal((machine.Id, "m5.large", InstanceState.Pending), (listed.Id, listed.OfferingName, listed.State));
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        Assert.Empty(world.Stub.CallsOf($"probe {machine.Id}"));
        Assert.Equal("shutting-down", machine.State);
    }

    [Fact]
    public async Task AListOfManyPages()
    {
        await using var world = await Ec2World.StartAsync();
        world.Stub.PageSize = 2;
        for (var i = 0; i < 5; i++)
        {
            world.Stub.Add("pending", OursAs("c5.large", $"l-{i}"));
        }
        Assert.Equal(5, (await ListAsync(world.Provider())).Count);
        Assert.Equal([null, "2", "4"], world.Stub.CallsOf("DescribeInstances").Select(c => c.Form.GetValueOrDefault("NextToken")));
    }

    [Fact]
    public async Task AMachineThatWasJustLaunchedMayBeMissingFromListsForAWhile()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        world.Stub.ListsLag = true;
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        world.Time.Advance(TimeSpan.FromSeconds(59));
        Assert.Single(await ListAsync(provider));
        // EC2 does not even end what it does not know yet: that is no success.
        var error = await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.TerminateAsync(machine.Id, CancellationToken.None));
        Assert.Equal("InvalidInstanceID.NotFound", error.ErrorCode);
        // A minute after a list has missed it first it is not listed any more: whoever keeps the fleet ends it. That a list misses it proves nothing.
        world.Time.Advance(TimeSpan.FromSeconds(60));
        Assert.Empty(await ListAsync(provider));
        Assert.Single(world.Stub.CallsOf("TerminateInstances"));
        var watch = world.WatchOf(provider);
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        Assert.Equal(machine.Id, (await watch.NextAsync(InstanceState.Terminated)).Id);
    }

    [Fact]
    public async Task AMachineThatAListMissesOnceIsNotLostAndOneThatItMissesForAMinuteIs()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider();
        Assert.Single(await ListAsync(provider));
        machine.Tags["mark-serving:fleet"] = "nobody's";
        Assert.Single(await ListAsync(provider));
        world.Time.Advance(TimeSpan.FromSeconds(59));
        Assert.Single(await ListAsync(provider));
        // Seen again, it is missed anew.
        machine.Tags["mark-serving:fleet"] = "digits";
        Assert.Single(await ListAsync(provider));
        machine.Tags["mark-serving:fleet"] = "nobody's";
        world.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Single(await ListAsync(provider));
        world.Time.Advance(TimeSpan.FromSeconds(60));
        Assert.Empty(await ListAsync(provider));
        // It is not this that ends it: the host may not keep the fleet.
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
        Assert.Equal("running", machine.State);
        machine.Tags["mark-serving:fleet"] = "digits";
        Assert.Single(await ListAsync(provider));
    }

    [Fact]
    public async Task ALaunchedMachineThatEC2EndsIsGone()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        var launched = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        var watch = world.WatchOf(provider);
        world.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Single(await ListAsync(provider));
        world.Stub.Find(launched.Id).State = "shutting-down";
        Assert.Empty(await ListAsync(provider));
        Assert.Equal(launched.Id, (await watch.NextAsync(InstanceState.Terminated)).Id);
    }

    [Theory]
    [InlineData("running")]
    [InlineData("terminated")]
    [InlineData("gone")]
    public async Task EndingAMachineSucceedsHoweverItIs(string state)
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider();
        await ListAsync(provider);
        world.Time.Advance(TimeSpan.FromMinutes(2));
        machine.State = state;
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        await provider.TerminateAsync("i-never", CancellationToken.None);
        machine.State = "running";
        Assert.Empty(await ListAsync(provider));
    }

    [Fact]
    public async Task AnErrorThatKeepsAMachineFromBeingEndedIsToldAndItStaysListed()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("pending", Ours);
        var provider = world.Provider();
        await ListAsync(provider);
        world.Stub.Fail("TerminateInstances", "UnauthorizedOperation", HttpStatusCode.Forbidden, "You are not authorized to perform this operation.");
        var error = await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.TerminateAsync(machine.Id, CancellationToken.None));
        Assert.Contains("do not allow ec2:TerminateInstances", error.Message, StringComparison.Ordinal);
        Assert.Single(await ListAsync(provider));
    }

    [Fact]
    public async Task AWorkerThatNeverAnswersStaysPending()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        machine.Serves = false;
        var provider = world.Provider();
        await ListAsync(provider);
        for (var i = 0; i < 30; i++)
        {
            await world.Time.PassAsync(Ec2World.Probe);
        }
        await world.Time.ArmedAsync(Ec2World.Probe);
        Assert.Equal(31, world.Stub.CallsOf($"probe {machine.Id}").Count);
        Assert.Equal(InstanceState.Pending, Assert.Single(await ListAsync(provider)).State);
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
    }

    [Fact]
    public async Task AWorkerThatStopsAnsweringIsToldOfAsTakenAwayAndAsRunningWhenItAnswersAgain()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider();
        await ListAsync(provider);
        var watch = world.WatchOf(provider);
        await watch.NextAsync(InstanceState.Running);
        machine.Serves = false;
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(InstanceState.Running, Assert.Single(await ListAsync(provider)).State);
            await world.Time.PassAsync(Ec2World.Probe);
        }
        Assert.Equal(world.Time.GetUtcNow(), (await watch.NextAsync(InstanceState.Interrupting)).InterruptedAt);
        Assert.Contains(world.Log.Warnings, w => w.Contains("3 probes failed on end", StringComparison.Ordinal));
        // Whoever keeps the fleet ends it; another host must not, whose network may be at fault.
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
        machine.Serves = true;
        await world.Time.PassAsync(Ec2World.Probe);
        await watch.NextAsync(InstanceState.Running);
    }

    [Fact]
    public async Task AWorkerThatDrainsIsInterruptedAndAHostIsToldWhenItKnowsMore()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider();
        await ListAsync(provider);
        var watch = world.WatchOf(provider);
        await watch.NextAsync(InstanceState.Running);
        machine.DrainsUntil = "unknown";
        await world.Time.PassAsync(Ec2World.Probe);
        Assert.Null((await watch.NextAsync(InstanceState.Interrupting)).InterruptedAt);
        machine.DrainsUntil = "2026-01-05T12:02:00.0000000+00:00";
        await world.Time.PassAsync(Ec2World.Probe);
        var interrupted = await watch.NextAsync(InstanceState.Interrupting);
        Assert.Equal((new DateTimeOffset(2026, 1, 5, 12, 2, 0, TimeSpan.Zero), world.Stub.WorkerOf(machine.Id)), (interrupted.InterruptedAt, interrupted.Endpoint));
        for (var i = 0; i < 5; i++)
        {
            await world.Time.PassAsync(Ec2World.Probe);
        }
        await world.Time.ArmedAsync(Ec2World.Probe);
        // It drains: that it answers 503 is no reason to end it.
        Assert.Empty(world.Stub.CallsOf("TerminateInstances"));
        Assert.Equal(interrupted, Assert.Single(await ListAsync(provider)));
        Assert.Equal(2, world.Log.Warnings.Count(w => w.Contains("will be taken away", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task AWorkerThatDrainsBeforeItEverServedIsInterrupted()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        machine.DrainsUntil = "2026-01-05T12:02:00Z";
        var provider = world.Provider();
        var watch = world.WatchOf(provider);
        await ListAsync(provider);
        Assert.Equal(new DateTimeOffset(2026, 1, 5, 12, 2, 0, TimeSpan.Zero), (await watch.NextAsync(InstanceState.Interrupting)).InterruptedAt);
    }

    [Theory]
    [InlineData("marked-for-termination")]
    [InlineData("marked-for-stop")]
    public async Task ASpotRequestThatIsMarkedIsAnInterruptionInTwoMinutes(string status)
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider(Ec2World.Spot(), Ec2World.OnDemand());
        var spot = world.Stub.Find((await provider.LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None)).Id);
        await provider.LaunchAsync(Ec2World.Launch("l-2"), CancellationToken.None);
        var watch = world.WatchOf(provider);
        await world.PollAsync();
        Assert.Equal([spot.Id], world.Stub.CallsOf("DescribeSpotInstanceRequests")[0].Form.Where(f => f.Key.StartsWith("Filter.1.Value", StringComparison.Ordinal)).Select(f => f.Value));
        (spot.SpotStatusAt, spot.SpotStatus) = (new DateTime(2026, 1, 5, 12, 0, 7, DateTimeKind.Utc), status);
        await world.PollAsync();
        var interrupted = await watch.NextAsync(InstanceState.Interrupting);
        Assert.Equal((spot.Id, new DateTimeOffset(2026, 1, 5, 12, 2, 7, TimeSpan.Zero)), (interrupted.Id, interrupted.InterruptedAt));
        // It is not asked for again.
        var calls = world.Stub.CallsOf("DescribeSpotInstanceRequests").Count;
        await world.PollAsync();
        Assert.Equal(calls, world.Stub.CallsOf("DescribeSpotInstanceRequests").Count);
    }

    [Fact]
    public async Task WhereSpotRequestsCannotBeAskedForTheListIsAsGoodAsEver()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider(Ec2World.Spot());
        var machine = world.Stub.Find((await provider.LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None)).Id);
        var watch = world.WatchOf(provider);
        world.Stub.Fail("DescribeSpotInstanceRequests", "UnauthorizedOperation", HttpStatusCode.Forbidden, "You are not authorized to perform this operation.", times: 100);
        machine.State = "running";
        await world.PollAsync();
        Assert.Equal(machine.Id, (await watch.NextAsync(InstanceState.Running)).Id);
        for (var i = 0; i < 12; i++)
        {
            await world.PollAsync();
        }
        Assert.Equal(13, world.Stub.CallsOf("DescribeInstances").Count);
        // After 5, 15 and 35 seconds.
        Assert.Equal(3, world.Stub.CallsOf("DescribeSpotInstanceRequests").Count);
        Assert.Contains(world.Log.Warnings, w => w.Contains("do not allow ec2:DescribeSpotInstanceRequests", StringComparison.Ordinal));
        Assert.Single(await ListAsync(provider));
    }

    [Fact]
    public async Task PollsThatFailBackOffAndAreLogged()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        world.Stub.Fail("DescribeInstances", "RequestLimitExceeded", HttpStatusCode.ServiceUnavailable, times: 5);
        foreach (var seconds in new[] { 5, 10, 20, 40, 60 })
        {
            await world.Time.PassAsync(TimeSpan.FromSeconds(seconds));
        }
        await world.Time.PassAsync(TimeSpan.FromSeconds(60));
        // It is as often as before, once EC2 has answered.
        await world.Time.ArmedAsync(Ec2World.Poll);
        Assert.Equal(6, world.Stub.CallsOf("DescribeInstances").Count);
        Assert.Equal(5, world.Log.Warnings.Count(w => w.Contains("RequestLimitExceeded", StringComparison.Ordinal) && w.Contains("Fleet digits", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task PollsThatAreRareAreNotMoreOftenWhereTheyFail()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.PollInterval = TimeSpan.FromMinutes(3);
        var provider = world.Provider(options);
        await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        world.Stub.Fail("DescribeInstances", "InternalError", HttpStatusCode.InternalServerError);
        await world.Time.PassAsync(options.PollInterval);
        await world.Time.ArmedAsync(options.PollInterval);
        Assert.Single(world.Log.Warnings);
    }

    [Fact]
    public async Task AnEndpointThatThrowsHarmsNothingElse()
    {
        await using var world = await Ec2World.StartAsync();
        var answers = new Queue<Func<Uri?>>([() => throw new InvalidOperationException("as it was told to"), () => new Uri("/relative", UriKind.Relative), () => null]);
        var options = world.Options();
        options.UseEndpoint(instance => answers.TryDequeue(out var answer) ? answer() : world.Stub.WorkerOf(instance.InstanceId));
        var provider = world.Provider(options);
        var machine = world.Stub.Find((await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None)).Id);
        var watch = world.WatchOf(provider);
        machine.State = "running";
        for (var i = 0; i < 4; i++)
        {
            await world.PollAsync();
        }
        Assert.Equal(machine.Id, (await watch.NextAsync(InstanceState.Running)).Id);
        Assert.Equal(2, world.Log.Warnings.Count(w => w.Contains("UseEndpoint", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task AFleetWithoutMachinesIsNotPolled()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        world.WatchOf(provider);
        await world.PollAsync();
        await world.PollAsync();
        Assert.Empty(world.Stub.CallsOf("DescribeInstances"));
    }

    [Fact]
    public async Task WhatRunsInTheBackgroundEndsWithTheProvider()
    {
        await using var world = await Ec2World.StartAsync();
        var machine = world.Stub.Add("running", Ours);
        var provider = world.Provider();
        await ListAsync(provider);
        await world.WatchOf(provider).NextAsync(InstanceState.Running);
        await provider.DisposeAsync();
        await provider.DisposeAsync();
        var calls = world.Stub.CallsOf("DescribeInstances").Count + world.Stub.CallsOf($"probe {machine.Id}").Count;
        world.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(calls, world.Stub.CallsOf("DescribeInstances").Count + world.Stub.CallsOf($"probe {machine.Id}").Count);
        // Machines are not the process's: the next host finds them.
        Assert.Equal("running", machine.State);
    }
}
