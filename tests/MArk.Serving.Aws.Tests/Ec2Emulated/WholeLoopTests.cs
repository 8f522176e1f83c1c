using Amazon.EC2;
using Amazon.EC2.Model;
using CloudHost.Emulators;
using MArk.Serving.Aws.Ec2;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OpenInference;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Tests.Ec2Emulated;

/// <summary>Forecast, plan, launch, ready, dispatch, spot loss, drain, terminate: a host on emulated EC2 with real workers, set up by configuration.</summary>
public sealed class WholeLoopTests(MotoFixture fixture)
{
    private const string Model = "digits";
    private readonly string _owner = $"loop-{Environment.ProcessId}-{Interlocked.Increment(ref s_hosts)}";

    private static int s_hosts;

    private IHost Host(string offerings, string fleet = "")
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes($$"""
            {
              "MArk": { "Models": { "digits": {
                "Slo": "00:00:05",
                "Fleet": { "SampleInterval": "00:00:00.250", "PlanInterval": "00:00:00.500", "Horizon": 8, "ScaleInCooldown": "00:10:00", "MaxInstances": 4 {{fleet}} },
                "Ec2": {
                  "Owner": "{{_owner}}", "Region": "{{MotoServer.Region}}", "ServiceUrl": "{{fixture.Moto.Address}}", "PollInterval": "00:00:00.100", "ProbeInterval": "00:00:00.050",
                  "Offerings": [ {{offerings}} ]
                }
              } } }
            }
            """)));
        builder.Logging.ClearProviders();
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m => m
            .UseOpenInference(new OpenInferenceOptions { Model = Model, Artifact = ModelArtifact.OfFile(Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx"), "1") })
            .UseEc2(ec2 => ec2.UseClient(fixture.Moto.CreateClient).UseEndpoint(MachineEmulator.EndpointOf)));
        return builder.Build();
    }

    private static string Spot => $$"""{ "Name": "spot", "Market": "Spot", "InstanceTypes": [ "c5.large", "c5.xlarge" ], "LaunchTemplateName": "{{MotoFixture.Template}}", "PricePerHour": 0.03 }""";

    private static string OnDemand => $$"""{ "Name": "on-demand", "InstanceTypes": [ "c5.large" ], "LaunchTemplateName": "{{MotoFixture.Template}}" }""";

    private static string Standby => $$"""{ "Name": "standby", "Market": "Standby", "InstanceTypes": [ "t3.large" ], "LaunchTemplateName": "{{MotoFixture.Template}}" }""";

    private async Task<MachineEmulator> StartWorkersAsync() => await MachineEmulator.StartAsync(fixture.Moto.CreateClient(), _owner, new Uri(AppContext.BaseDirectory).AbsoluteUri);

    private async Task<List<Instance>> ListedAsync(params string[] states)
    {
        using var client = fixture.Moto.CreateClient();
        var all = await client.DescribeInstancesAsync(new DescribeInstancesRequest { Filters = [new Filter($"tag:{Ec2Tags.Owner}", [_owner]), new Filter("instance-state-name", [.. states])] });
        return [.. (all.Reservations ?? []).SelectMany(r => r.Instances)];
    }

    private async Task AssertNothingIsLeftAsync()
    {
        Peers.Require(AwsCli.IsInstalled, "awscli");
        var mine = (await ListedAsync("pending", "running", "stopping", "stopped", "shutting-down", "terminated")).Select(i => i.InstanceId).ToList();
        Assert.NotEmpty(mine);
        Assert.DoesNotContain(await AwsCli.MachinesAsync(fixture.Moto), left => mine.Exists(id => left.Contains(id, StringComparison.Ordinal)));
    }

    /// <summary>Asks, some requests at a time, until something holds.</summary>
    /// <returns>What became of each request.</returns>
    private static async Task<List<InferenceResult<float[]>>> AskUntilAsync(IHost host, Func<Task<bool>> holds)
    {
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(Model);
        var results = new List<InferenceResult<float[]>>();
        while (!await holds())
        {
            results.AddRange(await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ => await client.TryInferAsync(new float[64], cancellationToken: TestContext.Current.CancellationToken))));
        }
        return results;
    }

    [Fact]
    public async Task ASpotMachineIsTakenAwayUnderLoadAndNoRequestIsLostAndNoMachineIsLeft()
    {
        await using var workers = await StartWorkersAsync();
        using var host = Host($"{Spot}, {OnDemand}");
        await host.StartAsync(TestContext.Current.CancellationToken);
        var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(Model);
        // The cheaper one is what was planned, launched and measured before the start was over.
        var first = (await ListedAsync("running")).First(m => m.InstanceLifecycle == InstanceLifecycleType.Spot);
        var results = await AskUntilAsync(host, () => Task.FromResult(monitor.GetReport().Succeeded >= 500));

        var taking = workers.TakeAwayAsync(first.InstanceId, TimeSpan.FromSeconds(8), TestContext.Current.CancellationToken);
        results.AddRange(await AskUntilAsync(host, () => Task.FromResult(taking.IsCompleted && monitor.GetReport() is { ReadyInstances: > 0, Fleet.Interruptions: > 0 })));
        await taking;

        Assert.All(results, r => Assert.Equal(InferenceStatus.Succeeded, r.Status));
        Assert.DoesNotContain(await ListedAsync("running"), m => m.InstanceId == first.InstanceId);
        await host.StopAsync(TestContext.Current.CancellationToken);
        await AssertNothingIsLeftAsync();
        Assert.Equal(1, monitor.GetReport().Fleet!.Interruptions);
    }

    [Fact]
    public async Task AStandbyMachineIsKeptStoppedAndStandsInForOneThatIsLost()
    {
        await using var workers = await StartWorkersAsync();
        using var host = Host($"{OnDemand}, {Standby}", """, "StandbyInstances": 1""");
        await host.StartAsync(TestContext.Current.CancellationToken);
        var results = await AskUntilAsync(host, async () => (await ListedAsync("stopped")).Count == 1 && (await ListedAsync("running")).Count == 1);
        var standby = Assert.Single(await ListedAsync("stopped"));
        var serving = Assert.Single(await ListedAsync("running"));

        using (var client = fixture.Moto.CreateClient())
        {
            await client.TerminateInstancesAsync(new TerminateInstancesRequest { InstanceIds = [serving.InstanceId] }, TestContext.Current.CancellationToken);
        }
        results.AddRange(await AskUntilAsync(host, async () => (await ListedAsync("running")).Exists(m => m.InstanceId == standby.InstanceId)));
        Assert.All(results, r => Assert.Equal(InferenceStatus.Succeeded, r.Status));
        await host.StopAsync(TestContext.Current.CancellationToken);
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task AHostThatStartsAgainAfterACrashServesFromTheMachinesItHad()
    {
        await using var workers = await StartWorkersAsync();
        var crashed = Host(OnDemand);
        await crashed.StartAsync(TestContext.Current.CancellationToken);
        var machine = Assert.Single(await ListedAsync("running"));
        // Its process is gone: it stops nothing. Here it must not plan either, so that there is one host at a time.
        await ((IAsyncDisposable)crashed.Services.GetRequiredKeyedService<Ec2InstanceProvider>(Model)).DisposeAsync();

        using var host = Host(OnDemand);
        await host.StartAsync(TestContext.Current.CancellationToken);
        await AskUntilAsync(host, () => Task.FromResult(host.Services.GetRequiredKeyedService<IModelMonitor>(Model).GetReport().Succeeded > 0));
        Assert.Equal(machine.InstanceId, Assert.Single(await ListedAsync("running")).InstanceId);
        await host.StopAsync(TestContext.Current.CancellationToken);
        await AssertNothingIsLeftAsync();
    }
}
