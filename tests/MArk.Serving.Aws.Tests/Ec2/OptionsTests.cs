using System.Text;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference;
using MArk.Serving.Tensors;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>What is outside its range is named, with what is accepted; and what configuration says is taken.</summary>
public sealed class OptionsTests
{
    public static TheoryData<string, Action<Ec2Options>> Bad => new()
    {
        { "Owner is ' '", o => o.Owner = " " },
        { "Owner is 'xxx", o => o.Owner = new string('x', 257) },
        { "ServiceUrl is '/here'", o => o.ServiceUrl = new Uri("/here", UriKind.Relative) },
        { "Offerings is empty", o => o.Offerings.Clear() },
        { "Offerings has 'c5.large' 2 times", o => o.Offerings.Add(Ec2World.OnDemand()) },
        { "WorkerPort is 0", o => o.WorkerPort = 0 },
        { "WorkerPort is 65536", o => o.WorkerPort = 65_536 },
        { "WorkerScheme is 'ftp'", o => o.WorkerScheme = "ftp" },
        { "ReadyPath is ''", o => o.ReadyPath = "" },
        { "ReadyPath is 'http://elsewhere/ready'", o => o.ReadyPath = "http://elsewhere/ready" },
        { "MaxProbeFailures is 0", o => o.MaxProbeFailures = 0 },
        { "ProbeInterval is 00:00:00", o => o.ProbeInterval = TimeSpan.Zero },
        { "ProbeTimeout is -00:00:01", o => o.ProbeTimeout = TimeSpan.FromSeconds(-1) },
        { "PollInterval is 00:00:00", o => o.PollInterval = TimeSpan.Zero },
        { "PollInterval is 2.00:00:00", o => o.PollInterval = TimeSpan.FromDays(2) },
        { "StopTimeout is 00:00:00", o => o.StopTimeout = TimeSpan.Zero },
        { "StopTimeout is 10675199", o => o.StopTimeout = TimeSpan.MaxValue },
        { "Tags has 41", o => { for (var i = 0; i < 41; i++) { o.Tags.Add($"t{i}", ""); } } },
        { "Tags has ''", o => o.Tags.Add("", "x") },
        { "Tags has 'mark-serving:owner'", o => o.Tags.Add("mark-serving:owner", "x") },
        { "Tags has 'AWS:it'", o => o.Tags.Add("AWS:it", "x") },
        { "Tags has 'yyy", o => o.Tags.Add(new string('y', 128), "x") },
        { "Tags has a value of 257 characters for 'team'", o => o.Tags.Add("team", new string('x', 257)) },
        { "An offering has no Name", o => o.Offerings[0].Name = "" },
        { "Name has 257 characters", o => o.Offerings[0].Name = new string('x', 257) },
        { "Market is 9", o => o.Offerings[0].Market = (InstanceMarket)9 },
        { "InstanceTypes is empty", o => o.Offerings[0].InstanceTypes.Clear() },
        { "InstanceTypes is empty, or has an empty one", o => o.Offerings[0].InstanceTypes.Add(" ") },
        { "LaunchTemplateId and LaunchTemplateName are both given", o => (o.Offerings[0].LaunchTemplateId, o.Offerings[0].LaunchTemplateName, o.Offerings[0].ImageId) = ("lt-1", "workers", null) },
        { "a launch template is given, and also", o => o.Offerings[0].LaunchTemplateId = "lt-1" },
        { "a launch template is given, and also", o => { (o.Offerings[0].LaunchTemplateId, o.Offerings[0].ImageId) = ("lt-1", null); o.Offerings[0].SecurityGroupIds.Add("sg-1"); } },
        { "neither a launch template nor an ImageId", o => o.Offerings[0].ImageId = null },
        { "PricePerHour is less than 0", o => o.Offerings[0].PricePerHour = -1 },
        { "StoppedPricePerHour is less than 0", o => o.Offerings[0].StoppedPricePerHour = -1 },
        { "StoppedPricePerHour is 0.1 and Market is OnDemand", o => o.Offerings[0].StoppedPricePerHour = 0.1m },
        { "LaunchDelay is less than 0", o => o.Offerings[0].LaunchDelay = TimeSpan.FromTicks(-1) },
        { "ResumeDelay is less than 0", o => o.Offerings[0].ResumeDelay = TimeSpan.FromTicks(-1) },
        { "InterruptionsPerHour is NaN", o => o.Offerings[0].InterruptionsPerHour = double.NaN },
        { "InterruptionsPerHour is -1", o => o.Offerings[0].InterruptionsPerHour = -1 },
        { "UserData has 16386 bytes", o => o.Offerings[0].UserData = new string('ä', 8193) },
        { "MaxInstances is 0", o => o.Offerings[0].MaxInstances = 0 },
        { "does not have 'x9.large'", o => { o.Offerings[0].InstanceTypes.Add("x9.large"); o.Offerings[0].PricePerHour = null; } },
    };

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public void WhatIsWrongIsNamedWithWhatIsAccepted(string says, Action<Ec2Options> spoil)
    {
        var options = Good();
        Assert.Empty(options.Violations());
        spoil(options);
        var violation = Assert.Single(options.Violations());
        Assert.Contains(says, violation, StringComparison.Ordinal);
        Assert.Contains("accepted", violation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AHostDoesNotStartWithWhatIsWrongAndSaysAllOfIt()
    {
        using var host = HostOf(null, o =>
        {
            o.Offerings.Add(Ec2World.OnDemand());
            (o.WorkerPort, o.Offerings[0].MaxInstances) = (0, 0);
        });
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(
            ["MArk:Models:digits:Ec2: WorkerPort is 0; accepted: 1 to 65535.", "MArk:Models:digits:Ec2: Offering 'c5.large': MaxInstances is 0; accepted: at least 1."], error.Failures);
    }

    [Fact]
    public void ConfigurationIsTakenAndThenWhatTheBuilderSays()
    {
        using var host = HostOf(
            """
            {
              "MArk": { "Models": { "digits": { "Ec2": {
                "Region": "eu-west-1", "Owner": "production", "WorkerPort": 8123, "WorkerScheme": "https", "UsePublicAddress": true, "PollInterval": "00:00:07", "LookUpSpotPrices": false,
                "ServiceUrl": "http://127.0.0.1:4566/", "Tags": { "team": "vision" },
                "Offerings": [
                  {
                    "Name": "cpu", "Market": "Spot", "InstanceTypes": ["c5.large", "c6i.large"], "SubnetIds": ["subnet-1", "subnet-2"], "LaunchTemplateName": "workers", "LaunchTemplateVersion": "7",
                    "PricePerHour": "0.05", "InterruptionsPerHour": 0.02, "MaxInstances": 9
                  },
                  { "Name": "kept", "Market": "Standby", "InstanceTypes": ["c5.xlarge"], "ImageId": "ami-1", "SecurityGroupIds": ["sg-1"], "StoppedPricePerHour": 0.001, "ResumeDelay": "00:00:30" }
                ]
              } } } }
            }
            """,
            o => o.WorkerPort = 8200);
        var options = host.Services.GetRequiredService<IOptionsMonitor<Ec2Options>>().Get("digits");
        Assert.Equal(("eu-west-1", "production", 8200, "https", true, TimeSpan.FromSeconds(7), false), (
            options.Region, options.Owner, options.WorkerPort, options.WorkerScheme, options.UsePublicAddress, options.PollInterval, options.LookUpSpotPrices));
        Assert.Equal(("http://127.0.0.1:4566/", "vision"), (options.ServiceUrl?.AbsoluteUri, options.Tags["team"]));
        var (cpu, kept) = (options.Offerings[0], options.Offerings[1]);
        Assert.Equal(("cpu", InstanceMarket.Spot, "workers", "7", 0.05m, 0.02, 9), (cpu.Name, cpu.Market, cpu.LaunchTemplateName, cpu.LaunchTemplateVersion, cpu.PricePerHour, cpu.InterruptionsPerHour, cpu.MaxInstances));
        Assert.Equal(["c5.large", "c6i.large"], cpu.InstanceTypes);
        Assert.Equal(["subnet-1", "subnet-2"], cpu.SubnetIds);
        Assert.Equal((InstanceMarket.Standby, "ami-1", "sg-1", 0.001m, TimeSpan.FromSeconds(30)), (kept.Market, kept.ImageId, Assert.Single(kept.SecurityGroupIds), kept.StoppedPricePerHour, kept.ResumeDelay));
        Assert.Equal(2, options.Offerings.Count);
    }

    [Theory]
    [InlineData("""{ "WorkerPorts": 1 }""", "MArk:Models:digits:Ec2:WorkerPorts is no setting of what the model uses; accepted: LookUpSpotPrices, ")]
    [InlineData("""{ "Offerings": [{ "Name": "a", "InstanceType": ["c5.large"], "ImageId": "ami-1" }] }""", "MArk:Models:digits:Ec2:Offerings:0:InstanceType is no setting of what the model uses; accepted: DeviceTimeScale, ")]
    public async Task AKeyThatNoOptionHasIsNamed(string ec2, string says)
    {
        using var host = HostOf($$"""{ "MArk": { "Models": { "digits": { "Ec2": {{ec2}} } } } }""");
        Assert.Contains(says, (await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatConfigurationSaysWrongIsNamedByItsSection()
    {
        using var host = HostOf("""{ "MArk": { "Models": { "digits": { "Ec2": { "WorkerPort": 99999, "Offerings": [{ "Name": "a", "InstanceTypes": ["c5.large"], "ImageId": "ami-1" }] } } } } }""");
        var error = Assert.Throws<OptionsValidationException>(() => host.Services.GetRequiredService<IOptionsMonitor<Ec2Options>>().Get("digits"));
        Assert.Equal(["MArk:Models:digits:Ec2: WorkerPort is 99999; accepted: 1 to 65535."], error.Failures);
    }

    private static Ec2Options Good()
    {
        var options = new Ec2Options();
        options.Offerings.Add(Ec2World.OnDemand());
        return options;
    }

    private static IHost HostOf(string? json, Action<Ec2Options>? configure = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        if (json is not null)
        {
            builder.Configuration.AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json)));
        }
        builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
            .WithSlo(TimeSpan.FromSeconds(1))
            .UseOpenInference(new OpenInferenceOptions { Model = "digits" })
            .UseEc2(configure));
        return builder.Build();
    }
}
