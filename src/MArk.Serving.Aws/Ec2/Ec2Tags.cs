using Amazon.EC2.Model;

namespace MArk.Serving.Aws.Ec2;

/// <summary>How machines are known again: by tags that they carry from their launch on.</summary>
internal static class Ec2Tags
{
    public const string Prefix = "mark-serving:";
    public const string Owner = Prefix + "owner";
    public const string Model = Prefix + "model";
    public const string Fleet = Prefix + "fleet";
    public const string Offering = Prefix + "offering";
    public const string Launch = Prefix + "launch";

    /// <summary>EC2's own limits ("Tag", EC2 API reference).</summary>
    public const int LongestKey = 127;

    /// <inheritdoc cref="LongestKey"/>
    public const int LongestValue = 256;

    public static TagSpecification Of(Ec2Options options, string model, LaunchRequest request) => new()
    {
        ResourceType = Amazon.EC2.ResourceType.Instance,
        Tags =
        [
            new Tag("Name", Shortened($"{request.Fleet} ({options.Owner})")), new Tag(Owner, options.Owner), new Tag(Model, model), new Tag(Fleet, request.Fleet), new Tag(Offering, request.OfferingName), new Tag(Launch, request.LaunchId),
            .. options.Tags.Where(t => t.Key != "Name").Select(t => new Tag(t.Key, t.Value)),
        ],
    };

    private static string Shortened(string name) => name.Length <= LongestValue ? name : name[..LongestValue];

    public static string? Find(Instance instance, string key) => instance.Tags?.Find(t => t.Key == key)?.Value;
}
