using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MArk.Serving.Aws.Tests.Docs;

/// <summary>The infrastructure that docs/deploy-on-aws.md hands out says the same as the code, the settings and the worker.</summary>
public sealed partial class InfrastructureTests
{
    private static readonly JsonDocumentOptions WithComments = new() { CommentHandling = JsonCommentHandling.Skip };

    private static string CloudFormation => Read("cloudformation.yaml");

    private static string Terraform => string.Join('\n', Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Infrastructure", "terraform")).Order(StringComparer.Ordinal).Select(File.ReadAllText));

    /// <summary>The calls that are made, what they imply, and the function.</summary>
    private static string[] NeededActions =>
        [.. CalledActions().Matches(Read("Ec2Api.cs")).Select(m => m.Groups[1].Value).Concat(["ec2:CreateTags", "iam:PassRole", "lambda:InvokeFunction"]).Distinct().Order(StringComparer.Ordinal)];

    [Fact]
    public void HostPolicyOfCloudFormationAllowsWhatIsCalled()
    {
        var policy = HostPolicyBlock().Match(CloudFormation);
        Assert.True(policy.Success, "There is no HostPolicy.");
        Assert.Equal(NeededActions, YamlActions().Matches(policy.Value).Select(m => m.Groups[1].Value).Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void HostPolicyOfTerraformAllowsWhatIsCalled()
    {
        Assert.Contains("""templatefile("${path.module}/../host-policy.json", {""", Terraform, StringComparison.Ordinal);
        Assert.All(["Region", "AccountId", "Role", "Function", "Owner"], name => Assert.Matches($@"(?m)^\s+{name}\s+=", Terraform));
        var path = PathOf("host-policy.json");
        using var policy = JsonDocument.Parse(File.ReadAllText(path));
        // One that is written there is not the one of the settings.
        Assert.All(OwnersOfPolicy().Matches(File.ReadAllText(path)).Select(m => m.Groups[1].Value), owner => Assert.Equal("${Owner}", owner));
        var actions = policy.RootElement.GetProperty("Statement").EnumerateArray().Select(s => s.GetProperty("Action"))
            .SelectMany(a => a.ValueKind == JsonValueKind.Array ? a.EnumerateArray().Select(e => e.GetString()!) : [a.GetString()!]);
        Assert.Equal(NeededActions, actions.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void LaunchTemplateIsTheOneOfTheSettings()
    {
        using var settings = JsonDocument.Parse(Read("appsettings.Aws.json"), WithComments);
        var offerings = settings.RootElement.GetProperty("MArk").GetProperty("Models").GetProperty("digits").GetProperty("Ec2").GetProperty("Offerings").EnumerateArray().ToArray();
        Assert.NotEmpty(offerings);
        Assert.All(offerings, offering =>
        {
            var name = Regex.Escape(offering.GetProperty("LaunchTemplateName").GetString()!);
            Assert.Matches($@"(?m)^\s+LaunchTemplateName: {name}$", CloudFormation);
            Assert.Matches($@"resource ""aws_launch_template"" ""worker"" \{{\s+name\s+= ""{name}""", Terraform);
        });
    }

    [Fact]
    public void FunctionIsTheOneOfTheSettings()
    {
        using var settings = JsonDocument.Parse(Read("appsettings.Aws.json"), WithComments);
        var name = settings.RootElement.GetProperty("MArk").GetProperty("Models").GetProperty("digits").GetProperty("Lambda").GetProperty("FunctionName").GetString()!;
        Assert.Matches($@"FunctionName:\s+Type: String\s+Default: {Regex.Escape(name)}\s", CloudFormation);
        Assert.Matches($@"variable ""function_name"" \{{[^}}]*default\s+= ""{Regex.Escape(name)}""", Terraform);
    }

    [Fact]
    public void OwnerIsTheOneOfTheSettings()
    {
        using var settings = JsonDocument.Parse(Read("appsettings.Aws.json"), WithComments);
        var owner = Regex.Escape(settings.RootElement.GetProperty("MArk").GetProperty("Models").GetProperty("digits").GetProperty("Ec2").GetProperty("Owner").GetString()!);
        Assert.Matches($@"Owner:\s+Type: String\s+Default: {owner}\s", CloudFormation);
        Assert.Matches($@"variable ""owner"" \{{[^}}]*default\s+= ""{owner}""", Terraform);
    }

    [Fact]
    public void WorkersListenWhereTheHostLooksForThem()
    {
        var port = new Ec2Options().WorkerPort.ToString(CultureInfo.InvariantCulture);
        Assert.Matches($@"WorkerPort:\s+Type: Number\s+Default: {port}\s", CloudFormation);
        Assert.Matches($@"variable ""worker_port"" \{{[^}}]*default\s+= {port}\s", Terraform);
    }

    [Fact]
    public void UserDataSetsWhatTheWorkerReads()
    {
        var settings = WorkerSettings().Matches(Read("Worker.cs")).Select(m => m.Groups[1].Value).Distinct().ToArray();
        Assert.Contains("Worker:AllowedSources", settings);
        Assert.All([CloudFormation, Terraform], infrastructure =>
        {
            Assert.All(settings, setting => Assert.Contains(setting.Replace(":", "__", StringComparison.Ordinal), infrastructure, StringComparison.Ordinal));
            // And nothing that it does not read.
            Assert.All(SetSettings().Matches(infrastructure).Select(m => m.Groups[1].Value.Replace("__", ":", StringComparison.Ordinal)), set => Assert.Contains(set, settings));
            Assert.Contains("ASPNETCORE_URLS=http://0.0.0.0:", infrastructure, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void UserDataIsTheSameInBoth()
    {
        var yaml = CloudFormationUserData().Match(CloudFormation);
        Assert.True(yaml.Success, "There is no user data.");
        var ofCloudFormation = yaml.Groups[1].Value.Split('\n').Select(line => line.Length > 12 ? line[12..] : "");
        Assert.Equal(Neutral(Read("terraform/user-data.sh.tftpl")), Neutral(string.Join('\n', ofCloudFormation)));
        // The same but for the names of what is filled in; the source's address is put together in CloudFormation here, and before in Terraform.
        static string Neutral(string script) => FilledIn().Replace(Source().Replace(script.Trim(), "Worker__AllowedSources__0="), "_");
    }

    [Fact]
    public void MetadataAsksForAToken()
    {
        Assert.Matches(@"(?m)^\s+HttpTokens: required$", CloudFormation);
        Assert.Matches(@"(?m)^\s+http_tokens\s+= ""required""$", Terraform);
    }

    private static string Read(string file) => File.ReadAllText(PathOf(file));

    private static string PathOf(string file) => Path.Combine(AppContext.BaseDirectory, "Infrastructure", file);

    [GeneratedRegex("""Guard\("(ec2:\w+)""")]
    private static partial Regex CalledActions();

    /// <summary>From the resource's name to the next name at its depth.</summary>
    [GeneratedRegex(@"(?ms)^  HostPolicy:$.*?(?=^ {0,2}\w)")]
    private static partial Regex HostPolicyBlock();

    [GeneratedRegex(@"(?m)^\s+- ((?:ec2|iam|lambda):\w+)$")]
    private static partial Regex YamlActions();

    [GeneratedRegex(@"Tag/mark-serving:owner""\s*:\s*""([^""]*)""")]
    private static partial Regex OwnersOfPolicy();

    [GeneratedRegex("""(?:Configuration\[|GetSection\(|GetValue\()"(Worker:\w+)""")]
    private static partial Regex WorkerSettings();

    [GeneratedRegex(@"(Worker__[A-Za-z]+)")]
    private static partial Regex SetSettings();

    [GeneratedRegex(@"(?s)Fn::Base64: !Sub \|\n(.*?)\n\n  HostRole:")]
    private static partial Regex CloudFormationUserData();

    [GeneratedRegex(@"\$\{[\w:]+\}")]
    private static partial Regex FilledIn();

    [GeneratedRegex("Worker__AllowedSources__0=.*")]
    private static partial Regex Source();
}
