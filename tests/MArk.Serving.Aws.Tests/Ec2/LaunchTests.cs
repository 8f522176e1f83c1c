using System.Net;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>Launches: what is asked for, what comes of errors, and that a launch is one machine.</summary>
public sealed class LaunchTests
{
    public static TheoryData<string, HttpStatusCode, string, LaunchFailure, string> Errors => new()
    {
        { "InsufficientInstanceCapacity", HttpStatusCode.InternalServerError, "", LaunchFailure.InsufficientCapacity, "c5.large: InsufficientInstanceCapacity" },
        { "Unsupported", HttpStatusCode.BadRequest, "", LaunchFailure.InsufficientCapacity, "c5.large: Unsupported" },
        { "SpotMaxPriceTooLow", HttpStatusCode.BadRequest, "", LaunchFailure.InsufficientCapacity, "c5.large: SpotMaxPriceTooLow" },
        { "InsufficientFreeAddressesInSubnet", HttpStatusCode.BadRequest, "", LaunchFailure.InsufficientCapacity, "c5.large: InsufficientFreeAddressesInSubnet" },
        { "VcpuLimitExceeded", HttpStatusCode.BadRequest, "You have requested more vCPU capacity", LaunchFailure.QuotaExceeded, "You have requested more vCPU capacity" },
        { "InstanceLimitExceeded", HttpStatusCode.BadRequest, "", LaunchFailure.QuotaExceeded, "InstanceLimitExceeded" },
        { "MaxSpotInstanceCountExceeded", HttpStatusCode.BadRequest, "", LaunchFailure.QuotaExceeded, "MaxSpotInstanceCountExceeded" },
        { "MaxFleetCountExceeded", HttpStatusCode.BadRequest, "", LaunchFailure.QuotaExceeded, "MaxFleetCountExceeded" },
        { "PendingVerification", HttpStatusCode.BadRequest, "", LaunchFailure.QuotaExceeded, "PendingVerification" },
        { "RequestLimitExceeded", HttpStatusCode.ServiceUnavailable, "Request limit exceeded.", LaunchFailure.Throttled, "RequestLimitExceeded" },
        { "Client.RequestLimitExceeded", HttpStatusCode.ServiceUnavailable, "Request limit exceeded.", LaunchFailure.Throttled, "RequestLimitExceeded" },
        { "InvalidAMIID.NotFound", HttpStatusCode.BadRequest, "The image id '[ami-1]' does not exist", LaunchFailure.Misconfigured, "The image id '[ami-1]' does not exist" },
        { "InvalidSubnetID.NotFound", HttpStatusCode.BadRequest, "", LaunchFailure.Misconfigured, "InvalidSubnetID.NotFound" },
        { "UnauthorizedOperation", HttpStatusCode.Forbidden, "You are not authorized to perform this operation.", LaunchFailure.Misconfigured, "do not allow ec2:RunInstances (UnauthorizedOperation). Add it" },
        {
            "UnauthorizedOperation", HttpStatusCode.Forbidden,
            "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/host/i-1 is not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:111122223333:instance/*",
            LaunchFailure.Misconfigured, "do not allow ec2:CreateTags"
        },
        {
            "UnauthorizedOperation", HttpStatusCode.Forbidden,
            "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/me is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/worker",
            LaunchFailure.Misconfigured, "do not allow iam:PassRole"
        },
        { "ExpiredToken", HttpStatusCode.BadRequest, "", LaunchFailure.Unknown, "have expired (ExpiredToken)" },
        { "AuthFailure", HttpStatusCode.Unauthorized, "", LaunchFailure.Unknown, "AuthFailure" },
        { "InternalError", HttpStatusCode.InternalServerError, "", LaunchFailure.Unknown, "InternalError" },
        { "IdempotentParameterMismatch", HttpStatusCode.BadRequest, "", LaunchFailure.Unknown, "IdempotentParameterMismatch" },
        // Of something on the way, or new: it may pass.
        { "SomethingNew", HttpStatusCode.ServiceUnavailable, "", LaunchFailure.Unknown, "SomethingNew" },
        { "html", HttpStatusCode.BadGateway, "", LaunchFailure.Unknown, "ec2:RunInstances" },
        { "html", HttpStatusCode.OK, "", LaunchFailure.Unknown, "ec2:RunInstances" },
    };

    [Theory]
    [MemberData(nameof(Errors), DisableDiscoveryEnumeration = true)]
    public async Task EachErrorIsALaunchFailureThatSaysWhatHelps(string code, HttpStatusCode status, string message, LaunchFailure expected, string says)
    {
        await using var world = await Ec2World.StartAsync();
        world.Stub.Fail("RunInstances", code, status, message);
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await world.Provider().LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None));
        Assert.Equal(expected, error.Failure);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Empty(world.Stub.Machines);
    }

    [Fact]
    public async Task TheNextPoolIsTriedAndWhenAllAreRefusedAllAreNamed()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.OnDemand("c5.large", "c5.large", "c6i.large");
        offering.SubnetIds.AddRange(["subnet-1", "subnet-2"]);
        var provider = world.Provider(offering);
        world.Stub.Refused["c5.large"] = "InsufficientInstanceCapacity";
        world.Stub.Refused["c6i.large/subnet-1"] = "InsufficientFreeAddressesInSubnet";
        await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        Assert.Equal(("c6i.large", "subnet-2"), (world.Stub.Machines[0].Type, world.Stub.Machines[0].Subnet));

        world.Stub.Refused["c6i.large/subnet-2"] = "Unsupported";
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-2"), CancellationToken.None));
        Assert.Equal(LaunchFailure.InsufficientCapacity, error.Failure);
        foreach (var pool in new[] { "c5.large in subnet-1: Ins", "c5.large in subnet-2: Ins", "c6i.large in subnet-1: InsufficientFree", "c6i.large in subnet-2: Unsupported" })
        {
            Assert.Contains(pool, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task LaunchesBeginWithDifferentSubnets()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.OnDemand();
        offering.SubnetIds.AddRange(["subnet-1", "subnet-2", "subnet-3"]);
        var provider = world.Provider(offering);
        for (var i = 0; i < 20; i++)
        {
            await provider.LaunchAsync(Ec2World.Launch($"l-{i}"), CancellationToken.None);
        }
        Assert.Equal(3, world.Stub.Machines.Select(m => m.Subnet).Distinct().Count());
    }

    [Fact]
    public async Task EC2ThatCannotBeReachedIsNoReasonToGiveUpForGood()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.UseClient(() => Ec2World.ClientOf(new Uri("http://127.0.0.1:9/")));
        var provider = world.Provider(options);
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None));
        Assert.Equal(LaunchFailure.Unknown, error.Failure);
        Assert.Contains("AWS was not reached", error.Message, StringComparison.Ordinal);
        Assert.Null(Assert.IsType<AwsRequestException>(error.InnerException).ErrorCode);
        await Assert.ThrowsAsync<AwsRequestException>(async () => await provider.ListAsync(Ec2World.Fleet, CancellationToken.None));
    }

    [Fact]
    public async Task AFleetThatLaunchesNothingSaysWhy()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider(Ec2World.SpotByFleet("c5.large", "c6i.large"));
        var none = await LaunchAsync("l-1");
        world.Stub.FleetErrors.AddRange([("InvalidFleetConfiguration", "not in this zone"), ("InsufficientInstanceCapacity", "none now"), ("InsufficientInstanceCapacity", "none now")]);
        var mixed = await LaunchAsync("l-2");
        world.Stub.FleetErrors.Clear();
        world.Stub.FleetErrors.Add(("UnauthorizedOperation", "User: me is not authorized to perform: iam:PassRole on resource: it"));
        var denied = await LaunchAsync("l-3");
        world.Stub.FleetErrors.Clear();
        world.Stub.FleetErrors.Add(("MaxSpotInstanceCountExceeded", "no more"));
        var quota = await LaunchAsync("l-4");

        Assert.Equal(
            (LaunchFailure.InsufficientCapacity, LaunchFailure.InsufficientCapacity, LaunchFailure.Misconfigured, LaunchFailure.QuotaExceeded),
            (none.Failure, mixed.Failure, denied.Failure, quota.Failure));
        Assert.Contains("InvalidFleetConfiguration: not in this zone; InsufficientInstanceCapacity: none now", mixed.Message, StringComparison.Ordinal);
        Assert.Contains("iam:PassRole", denied.Message, StringComparison.Ordinal);

        async Task<InstanceLaunchException> LaunchAsync(string id)
        {
            world.Stub.Refused["c5.large"] = world.Stub.Refused["c6i.large"] = "InsufficientInstanceCapacity";
            return await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch(id, "spot"), CancellationToken.None));
        }
    }

    [Fact]
    public async Task SpotByTemplateIsAnInstantFleetOverAllPools()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.SpotByFleet("c5.large", "c6i.large");
        offering.SubnetIds.AddRange(["subnet-1", "subnet-2"]);
        world.Stub.Refused["c5.large"] = "InsufficientInstanceCapacity";
        var machine = await world.Provider(offering).LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None);
        var call = Assert.Single(world.Stub.CallsOf("CreateFleet")).Form;
        Assert.Equal(("instant", "1", "spot"), (call["Type"], call["TargetCapacitySpecification.TotalTargetCapacity"], call["TargetCapacitySpecification.DefaultTargetCapacityType"]));
        Assert.Equal(("workers", "$Default"), (call["LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName"], call["LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version"]));
        Assert.True(call.ContainsKey("LaunchTemplateConfigs.1.Overrides.4.SubnetId"));
        Assert.Equal("price-capacity-optimized", call["SpotOptions.AllocationStrategy"]);
        Assert.Equal("c6i.large", world.Stub.Find(machine.Id).Type);
    }

    [Fact]
    public async Task AMachineIsAskedForAsTheOfferingSays()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.Standby();
        (offering.InstanceProfile, offering.KeyName, offering.UserData) = ("arn:aws:iam::111122223333:instance-profile/worker", "key", "#!/bin/sh");
        offering.SecurityGroupIds.Add("sg-1");
        var spot = Ec2World.Spot();
        spot.InstanceProfile = "worker";
        var options = world.Options(offering, spot);
        options.Tags["team"] = "vision";
        var provider = world.Provider(options);
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1", "standby"), CancellationToken.None);
        await provider.LaunchAsync(Ec2World.Launch("l-2", "spot"), CancellationToken.None);

        Assert.Equal(InstanceState.Pending, machine.State);
        var (first, second) = (world.Stub.CallsOf("RunInstances")[0].Form, world.Stub.CallsOf("RunInstances")[1].Form);
        Assert.Equal(("1", "1", "ami-1", "sg-1", "key"), (first["MinCount"], first["MaxCount"], first["ImageId"], first["SecurityGroupId.1"], first["KeyName"]));
        Assert.Equal(("stop", "required", offering.InstanceProfile), (first["InstanceInitiatedShutdownBehavior"], first["MetadataOptions.HttpTokens"], first["IamInstanceProfile.Arn"]));
        Assert.Equal("#!/bin/sh", System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(first["UserData"])));
        Assert.Equal(("terminate", "worker", "spot", "one-time"), (
            second["InstanceInitiatedShutdownBehavior"], second["IamInstanceProfile.Name"], second["InstanceMarketOptions.MarketType"], second["InstanceMarketOptions.SpotOptions.SpotInstanceType"]));
        Assert.Equal(
            [
                ("Name", "digits (tests)"), ("mark-serving:fleet", "digits"), ("mark-serving:launch", "l-1"), ("mark-serving:model", "digits"), ("mark-serving:offering", "standby"),
                ("mark-serving:owner", "tests"), ("team", "vision"),
            ],
            world.Stub.Find(machine.Id).Tags.Select(t => (t.Key, t.Value)).Order());
    }

    [Fact]
    public async Task TokensAreEqualForRepeatsAndDifferBetweenLaunchesPoolsFleetsAndOwners()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.OnDemand("c5.large", "c5.large", "c6i.large");
        offering.SubnetIds.AddRange(["subnet-1", "subnet-2"]);
        world.Stub.Refused["c5.large"] = world.Stub.Refused["c6i.large"] = "InsufficientInstanceCapacity";
        var other = world.Options(offering);
        other.Owner = "others";
        await FailAsync(world.Provider(offering), "l-1", Ec2World.Fleet);
        await FailAsync(world.Provider(offering), "l-1", Ec2World.Fleet);
        await FailAsync(world.Provider(offering), "l-2", Ec2World.Fleet);
        await FailAsync(world.Provider(offering), "l-1", "letters");
        await FailAsync(world.Provider(other), "l-1", Ec2World.Fleet);
        var tokens = world.Stub.CallsOf("RunInstances").Select(c => c.Form["ClientToken"]).Chunk(4).ToArray();
        Assert.Equal(tokens[0], tokens[1]);
        Assert.Equal(16, tokens.SelectMany(t => t).Distinct().Count());
        Assert.All(tokens.SelectMany(t => t), token => Assert.InRange(token.Length, 1, 64));

        static Task FailAsync(Ec2InstanceProvider provider, string id, string fleet) =>
            Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch(id, fleet: fleet), CancellationToken.None));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task ALaunchWhoseAnswerIsLostAndThatIsRepeatedIsOneMachine(bool byFleet, bool isNotListedYet)
    {
        await using var world = await Ec2World.StartAsync();
        world.Stub.ListsLag = isNotListedYet;
        var provider = world.Provider(byFleet ? Ec2World.SpotByFleet("c5.large") : Ec2World.Spot());
        var action = byFleet ? "CreateFleet" : "RunInstances";
        var mend = world.Stub.Cut(action);
        var lost = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None));
        Assert.Equal(LaunchFailure.Unknown, lost.Failure);
        mend();

        var before = world.Stub.CallsOf(action).Count;
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None);
        var again = await provider.LaunchAsync(Ec2World.Launch("l-1", "spot"), CancellationToken.None);
        Assert.Equal(Assert.Single(world.Stub.Machines).Id, machine.Id);
        Assert.Equal(machine, again);
        // A list that was fast enough makes a second call needless.
        Assert.Equal(isNotListedYet ? before + 1 : before, world.Stub.CallsOf(action).Count);
    }

    [Fact]
    public async Task ALaunchThatIsRetriedByTheClientIsOneMachine()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.UseClient(() => Ec2World.ClientOf(world.Stub.Address, retries: 2));
        world.Stub.Cut("RunInstances", times: 2);
        await world.Provider(options).LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        Assert.Equal(3, world.Stub.CallsOf("RunInstances").Count);
        Assert.Single(world.Stub.Machines);
    }

    [Fact]
    public async Task ALaunchThatCameToTwoMachinesIsOneInTheEnd()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options(Ec2World.OnDemand("c5.large", "c5.large", "c6i.large"));
        var provider = world.Provider(options);
        // The first pool has none, and the second pool's answer is lost; when the launch is repeated the first has one again, and the list does not have the machine of the second yet.
        world.Stub.ListsLag = true;
        world.Stub.Fail("RunInstances", "InsufficientInstanceCapacity", HttpStatusCode.InternalServerError);
        var mend = world.Stub.Cut("RunInstances");
        await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None));
        mend();
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        Assert.Equal(2, world.Stub.Machines.Count);

        var surplus = world.Stub.Machines.Single(m => m.Id != machine.Id);
        surplus.IsListed = world.Stub.Find(machine.Id).IsListed = true;
        world.Stub.Fail("TerminateInstances", "InternalError", HttpStatusCode.InternalServerError);
        var release = world.Stub.Hold("TerminateInstances");
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([machine.Id], (await provider.ListAsync(Ec2World.Fleet, CancellationToken.None)).Select(m => m.Id));
        }
        await world.Stub.CalledAsync("TerminateInstances", 1);
        release();
        // The call that failed is repeated, by one task, however often the machine was listed.
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        world.Time.Advance(Ec2World.Poll);
        await world.Stub.CalledAsync("TerminateInstances", 2);
        await world.Time.ArmedAsync(Ec2World.Poll);
        Assert.Equal([surplus.Id, surplus.Id], world.Stub.CallsOf("TerminateInstances").Select(c => c.Form["InstanceId.1"]));
        Assert.Equal("pending", world.Stub.Find(machine.Id).State);
    }

    [Fact]
    public async Task ALaunchThatAListWasFasterWithAsAnotherMachineKeepsThatOne()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        var release = world.Stub.Hold("RunInstances");
        var launch = provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None).AsTask();
        await world.Stub.CalledAsync("RunInstances", 1);
        var first = world.Stub.Add("pending", ("mark-serving:owner", "tests"), ("mark-serving:fleet", "digits"), ("mark-serving:offering", "c5.large"), ("mark-serving:launch", "l-1"));
        Assert.Single(await provider.ListAsync(Ec2World.Fleet, CancellationToken.None));
        world.Stub.ListsLag = true;
        release();
        Assert.Equal(first.Id, (await launch).Id);
        // The other is so new that EC2 does not know everywhere that there is one: that does not make it gone.
        await world.Stub.CalledAsync("TerminateInstances", 1);
        await world.Time.ArmedAsync(Ec2World.Poll, count: 2);
        var second = world.Stub.Machines[^1];
        second.IsListed = true;
        world.Time.Advance(Ec2World.Poll);
        await world.Stub.CalledAsync("TerminateInstances", 2);
        await world.Time.ArmedAsync(Ec2World.Poll);
        Assert.Equal(("shutting-down", "pending"), (second.State, first.State));
        Assert.Equal([first.Id], (await provider.ListAsync(Ec2World.Fleet, CancellationToken.None)).Select(m => m.Id));
    }

    [Fact]
    public async Task ALaunchThatIsCancelledIsFoundInTheList()
    {
        await using var world = await Ec2World.StartAsync();
        var provider = world.Provider();
        var release = world.Stub.Hold("RunInstances");
        using var late = new CancellationTokenSource();
        var launch = provider.LaunchAsync(Ec2World.Launch("l-1"), late.Token).AsTask();
        await world.Stub.CalledAsync("RunInstances", 1);
        await late.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => launch);
        release();
        // The stub does what was asked, though nobody waits for it; the machine is adopted by whoever lists.
        var machine = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        Assert.Equal(machine.Id, Assert.Single(await provider.ListAsync(Ec2World.Fleet, CancellationToken.None)).Id);
        Assert.Equal("l-1", machine.LaunchId);
        Assert.Single(world.Stub.Machines, m => m.State == "pending");
    }

    [Fact]
    public async Task ACallThatTheClientGivesUpIsAFailureAndNoCancellation()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.UseClient(() => Ec2World.ClientOf(world.Stub.Address, timeout: TimeSpan.FromMilliseconds(50)));
        var provider = world.Provider(options);
        var release = world.Stub.Hold("RunInstances");
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None));
        Assert.Equal(LaunchFailure.Unknown, error.Failure);
        Assert.IsType<AwsRequestException>(error.InnerException);
        release();
    }

    [Fact]
    public async Task WhatIsNotOfferedAndWhatIsTooManyIsRefusedHere()
    {
        await using var world = await Ec2World.StartAsync();
        var offering = Ec2World.OnDemand();
        offering.MaxInstances = 1;
        var provider = world.Provider(offering);
        await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        var tooMany = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-2"), CancellationToken.None));
        var unknown = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(Ec2World.Launch("l-3", "m5.large"), CancellationToken.None));
        var again = await provider.LaunchAsync(Ec2World.Launch("l-1"), CancellationToken.None);
        Assert.Equal("l-1", again.LaunchId);
        Assert.Equal((LaunchFailure.QuotaExceeded, LaunchFailure.Misconfigured), (tooMany.Failure, unknown.Failure));
        Assert.Contains("there are: c5.large", unknown.Message, StringComparison.Ordinal);
        Assert.Single(world.Stub.CallsOf("RunInstances"));
    }

    [Fact]
    public void TheDefaultClientBacksOffByItself()
    {
        var config = Ec2Api.ConfigOf(new Ec2Options { Region = "eu-west-1" });
        Assert.Equal(Amazon.Runtime.RequestRetryMode.Adaptive, config.RetryMode);
        Assert.True(config.MaxErrorRetry >= 3);
        Assert.Equal("eu-west-1", config.RegionEndpoint.SystemName);
        var elsewhere = Ec2Api.ConfigOf(new Ec2Options { Region = "eu-west-1", ServiceUrl = new Uri("http://127.0.0.1:4566/") });
        Assert.Equal(("http://127.0.0.1:4566/", "eu-west-1"), (elsewhere.ServiceURL, elsewhere.AuthenticationRegion));
    }

    [Fact]
    public async Task AClientThatCannotBeMadeSaysWhatIsMissing()
    {
        await using var world = await Ec2World.StartAsync();
        var options = world.Options();
        options.UseClient(() => throw new Amazon.Runtime.AmazonClientException("Failed to resolve AWS credentials."));
        var error = Assert.Throws<ServingException>(() => world.Provider(options));
        Assert.Contains("Failed to resolve AWS credentials.", error.Message, StringComparison.Ordinal);
        Assert.Contains("MArk:Models:digits:Ec2:Region", error.Message, StringComparison.Ordinal);
    }
}
