using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests;

/// <summary>The policy that the documentation gives a host is what the library calls: no less, so that it works, and no more.</summary>
public sealed partial class IamPolicyTests
{
    /// <summary>What is needed without being called by its name.</summary>
    private static readonly Dictionary<string, string> Implied = new()
    {
        ["ec2:CreateTags"] = "Machines are tagged as they are launched (TagSpecifications), which is authorized as an action of its own.",
        ["iam:PassRole"] = "An instance profile, of an offering or of its launch template, gives the machine a role.",
        ["lambda:InvokeFunction"] = "The spillover target calls functions over HTTP, without a client of the SDK.",
    };

    private static readonly string[] OnAnything = ["ec2:DescribeInstances", "ec2:DescribeSpotInstanceRequests", "ec2:DescribeSpotPriceHistory"];

    private sealed record Statement(string Sid, string Effect, IReadOnlyList<string> Actions, IReadOnlyList<string> Resources, IReadOnlyDictionary<string, IReadOnlyList<string>> StringEquals);

    private static IReadOnlyList<Statement> Policy()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Infrastructure", "host-policy.json")));
        Assert.Equal("2012-10-17", document.RootElement.GetProperty("Version").GetString());
        return [.. document.RootElement.GetProperty("Statement").EnumerateArray().Select(s => new Statement(
            s.GetProperty("Sid").GetString()!, s.GetProperty("Effect").GetString()!, Texts(s.GetProperty("Action")), Texts(s.GetProperty("Resource")),
            s.TryGetProperty("Condition", out var condition) ? Assert.Single(condition.EnumerateObject(), c => c.Name == "StringEquals").Value.EnumerateObject().ToDictionary(c => c.Name, c => Texts(c.Value)) : []))];

        static IReadOnlyList<string> Texts(JsonElement element) =>
            element.ValueKind == JsonValueKind.Array ? [.. element.EnumerateArray().Select(e => e.GetString()!)] : [element.GetString()!];
    }

    /// <summary>The actions that compiled code calls: its references to methods of EC2's client.</summary>
    private static HashSet<string> Called()
    {
        using var stream = File.OpenRead(typeof(Ec2Options).Assembly.Location);
        using var executable = new PEReader(stream);
        var metadata = executable.GetMetadataReader();
        var actions = new HashSet<string>();
        foreach (var handle in metadata.MemberReferences)
        {
            var member = metadata.GetMemberReference(handle);
            if (member.Parent.Kind != HandleKind.TypeReference)
            {
                continue;
            }
            var type = metadata.GetTypeReference((TypeReferenceHandle)member.Parent);
            var name = metadata.GetString(member.Name);
            if (metadata.GetString(type.Namespace) == "Amazon.EC2" && metadata.GetString(type.Name) is "IAmazonEC2" or "AmazonEC2Client" && name.EndsWith("Async", StringComparison.Ordinal))
            {
                actions.Add($"ec2:{name[..^"Async".Length]}");
            }
        }
        return actions;
    }

    [Fact]
    public void ThePolicyAllowsWhatIsCalledAndNothingElse()
    {
        var called = Called();
        Assert.Contains("ec2:RunInstances", called);
        Assert.Empty(called.Intersect(Implied.Keys));
        Assert.Equal(called.Concat(Implied.Keys).Order(StringComparer.Ordinal), Policy().SelectMany(s => s.Actions).Distinct().Order(StringComparer.Ordinal));
        Assert.All(Policy(), s => Assert.Equal("Allow", s.Effect));
    }

    [Fact]
    public void OnlyWhatHasNoResourcesIsAllowedOnAllAndPlaceholdersAreThoseThatAreDocumented()
    {
        foreach (var statement in Policy())
        {
            Assert.Equal(statement.Actions.Any(OnAnything.Contains), statement.Resources.Contains("*"));
            Assert.True(statement.Actions.All(OnAnything.Contains) || !statement.Resources.Contains("*"), statement.Sid);
            Assert.All(statement.Resources.Where(r => r != "*"), resource => Assert.Matches(@"^arn:aws:(ec2|iam|lambda):", resource));
            Assert.All(
                statement.Resources.Concat(statement.StringEquals.Values.SelectMany(v => v)).SelectMany(text => Placeholder().Matches(text)).Select(m => m.Value),
                placeholder => Assert.Contains(placeholder, new[] { "${Region}", "${AccountId}", "${Role}", "${Function}", "${Owner}" }));
        }
    }

    [Fact]
    public void MachinesAreLaunchedTaggedAndEndedAsTheirOwners()
    {
        // As long as a machine may be concerned, its owner's tag is asked for.
        foreach (var statement in Policy().Where(s => s.Resources.Any(r => r.Contains(":instance/", StringComparison.Ordinal))))
        {
            Assert.Single(statement.Resources);
            var isNew = statement.Actions.All(a => a is "ec2:RunInstances" or "ec2:CreateFleet" or "ec2:CreateTags");
            Assert.Equal(["${Owner}"], statement.StringEquals[$"aws:{(isNew ? "RequestTag" : "ResourceTag")}/{Ec2Tags.Owner}"]);
        }
        var tagging = Assert.Single(Policy(), s => s.Actions.Contains("ec2:CreateTags"));
        Assert.Equal(["CreateFleet", "RunInstances"], tagging.StringEquals["ec2:CreateAction"].Order(StringComparer.Ordinal));
        foreach (var action in new[] { "ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances", "ec2:CreateTags" })
        {
            Assert.Equal(["arn:aws:ec2:${Region}:${AccountId}:instance/*"], Policy().Where(s => s.Actions.Contains(action)).SelectMany(s => s.Resources));
        }
        Assert.Equal(["ec2.amazonaws.com"], Assert.Single(Policy(), s => s.Actions.Contains("iam:PassRole")).StringEquals["iam:PassedToService"]);
    }

    [GeneratedRegex(@"\$\{\w+\}")]
    private static partial Regex Placeholder();
}
