using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Tests;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>A host that serves from machines of EC2: the stub's, whose workers are all one server of the protocol.</summary>
public sealed class FleetTests
{
    private static async Task<IHost> HostAsync(Ec2Stub stub, LiveServer server, Ec2Offering offering)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("pair", m => m
            .WithSlo(TimeSpan.FromSeconds(10))
            .UseOpenInference(new OpenInferenceOptions { Model = "pair" })
            .WithOptions(o => o.Fleet.MaxInstances = 3)
            .UseEc2(o =>
            {
                (o.Owner, o.PollInterval, o.ProbeInterval) = ("tests", TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(50));
                o.ProbeTimeout = TimeSpan.FromSeconds(10);
                o.Offerings.Add(offering);
                o.UseClient(() => Ec2World.ClientOf(stub.Address)).UseEndpoint(_ => server.Address);
            }));
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    private static async Task AssertServesAsync(IHost host)
    {
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("pair");
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i => (i, Answer: await client.InferAsync([i, 2]))));
        Assert.All(answers, a => Assert.Equal([a.i + 2f, 2f * a.i], a.Answer));
    }

    [Fact]
    public async Task MachinesAreLaunchedServeAndAreEndedWithTheHost()
    {
        await using var stub = await Ec2Stub.StartAsync();
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), TestModels.MapPair);
        (stub.RunsAtOnce, stub.Now) = (true, TimeProvider.System.GetUtcNow());
        using var host = await HostAsync(stub, server, Ec2World.OnDemand());
        await AssertServesAsync(host);
        Assert.Equal("pair", Assert.Single(stub.Machines).Tags["mark-serving:fleet"]);
        Assert.Equal(1, host.Services.GetRequiredKeyedService<IModelMonitor>("pair").GetReport().ReadyInstances);
        await host.StopAsync();
        Assert.All(stub.Machines, m => Assert.Equal("shutting-down", m.State));
    }

    [Fact]
    public async Task AHostThatStartsAgainServesFromTheMachineItHad()
    {
        await using var stub = await Ec2Stub.StartAsync();
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), TestModels.MapPair);
        stub.Now = TimeProvider.System.GetUtcNow() - TimeSpan.FromHours(1);
        var machine = stub.Add("running", ("mark-serving:owner", "tests"), ("mark-serving:fleet", "pair"), ("mark-serving:offering", "c5.large"), ("mark-serving:launch", "before"));
        using var host = await HostAsync(stub, server, Ec2World.OnDemand());
        await AssertServesAsync(host);
        Assert.Empty(stub.CallsOf("RunInstances"));
        await host.StopAsync();
        Assert.Equal("shutting-down", machine.State);
    }

    [Fact]
    public async Task ASpotMachineThatIsTakenAwayIsReplacedAndNoRequestIsLost()
    {
        await using var stub = await Ec2Stub.StartAsync();
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), TestModels.MapPair);
        (stub.RunsAtOnce, stub.Now) = (true, TimeProvider.System.GetUtcNow());
        using var host = await HostAsync(stub, server, Ec2World.SpotByFleet("c5.large"));
        await AssertServesAsync(host);
        var first = Assert.Single(stub.Machines);
        (first.SpotStatusAt, first.SpotStatus) = (TimeProvider.System.GetUtcNow().UtcDateTime, "marked-for-termination");
        await stub.CalledAsync("CreateFleet", 2);
        await AssertServesAsync(host);
        await stub.CalledAsync("TerminateInstances", 1);
        Assert.Equal(first.Id, stub.CallsOf("TerminateInstances")[0].Form["InstanceId.1"]);
        await AssertServesAsync(host);
        await host.StopAsync();
        Assert.All(stub.Machines, m => Assert.Equal("shutting-down", m.State));
    }
}
