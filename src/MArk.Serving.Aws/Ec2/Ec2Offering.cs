using System.Text;
using MArk.Serving.Aws.Ec2;
using MArk.Serving.Aws.Prices;

namespace MArk.Serving.Aws;

/// <summary>A kind of EC2 machine. What is launched is said by a launch template, or else by an image and what belongs to it.</summary>
public sealed class Ec2Offering
{
    private const int MostUserData = 16_384;        // EC2's own limit, before it is encoded

    /// <summary>The offering's name, unique in its fleet, of at most 256 characters. Not to be changed while machines of it run: they are found by it.</summary>
    public string Name { get; set; } = "";

    /// <summary>How machines are bought. Default <see cref="InstanceMarket.OnDemand"/>.</summary>
    public InstanceMarket Market { get; set; }

    /// <summary>
    /// The instance types that serve alike, at least one: a launch takes the first that is to be had; of spot ones with a launch template that of the pool which is least likely to be interrupted, at a low
    /// price (<c>price-capacity-optimized</c>).
    /// </summary>
    public List<string> InstanceTypes { get; } = [];

    /// <summary>The subnets, and by them the zones, that machines are spread over. Default none: as the launch template says, or the default network.</summary>
    public List<string> SubnetIds { get; } = [];

    /// <summary>A launch template's identifier, <c>lt-...</c>; in place of <see cref="LaunchTemplateName"/>.</summary>
    public string? LaunchTemplateId { get; set; }

    /// <summary>A launch template's name.</summary>
    public string? LaunchTemplateName { get; set; }

    /// <summary>The launch template's version: a number, <c>$Default</c>, which is the default, or <c>$Latest</c>.</summary>
    public string LaunchTemplateVersion { get; set; } = "$Default";

    /// <summary>The image, <c>ami-...</c>, where there is no launch template.</summary>
    public string? ImageId { get; set; }

    /// <summary>Security groups: they must let the host reach the workers' port.</summary>
    public List<string> SecurityGroupIds { get; } = [];

    /// <summary>The name of the instance profile, or its ARN: what the worker may do.</summary>
    public string? InstanceProfile { get; set; }

    /// <summary>The name of a key pair.</summary>
    public string? KeyName { get; set; }

    /// <summary>What a machine runs at its first start, as plain text of at most 16 KB: it starts the worker. Whoever may describe machines can read it: no place for secrets.</summary>
    public string? UserData { get; set; }

    /// <summary>What a machine costs, US dollars per hour: at least 0. Default <see langword="null"/>: for spot as looked up, otherwise by the bundled list.</summary>
    public decimal? PricePerHour { get; set; }

    /// <summary>What a stopped machine costs for its disk, US dollars per hour: at least 0, and 0 unless the market is <see cref="InstanceMarket.Standby"/>. Default 0.</summary>
    public decimal StoppedPricePerHour { get; set; }

    /// <summary>The shortest time that a machine is billed for, once launched or started again: at least 0. Default 1 min, as EC2 bills Linux machines, by the second otherwise.</summary>
    public TimeSpan MinimumBilling { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How often a spot machine is expected to be taken away, per hour: at least 0. Default <see langword="null"/>: by the bundled list, 0 for what is not in it.</summary>
    public double? InterruptionsPerHour { get; set; }

    /// <summary>From launch until the worker serves, as far as it is known beforehand: at least 0. Default 90 s; it is measured then.</summary>
    public TimeSpan LaunchDelay { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>From the start of a stopped machine until the worker serves: at least 0. Default 45 s, for <see cref="InstanceMarket.Standby"/>; it is measured then.</summary>
    public TimeSpan ResumeDelay { get; set; } = TimeSpan.FromSeconds(45);

    /// <summary>The most machines at a time: at least 1. Default 100.</summary>
    public int MaxInstances { get; set; } = 100;

    /// <summary>As <see cref="InstanceOffering.DeviceTimeScale"/>: for emulators, whose machines are processes of this one, to stand in for slower devices; at least 1. Default 1.</summary>
    public double DeviceTimeScale { get; set; } = 1;

    internal bool HasTemplate => LaunchTemplateId is not null || LaunchTemplateName is not null;

    internal IEnumerable<string> Violations()
    {
        string Of(string what) => $"Offering '{Name}': {what}";
        if (string.IsNullOrWhiteSpace(Name))
        {
            yield return "An offering has no Name; accepted: a name that is unique.";
        }
        else if (Name.Length > Ec2Tags.LongestValue)
        {
            yield return Of($"Name has {Name.Length} characters; accepted: at most {Ec2Tags.LongestValue}.");
        }
        if (!Enum.IsDefined(Market))
        {
            yield return Of($"Market is {(int)Market}; accepted: {string.Join(", ", Enum.GetNames<InstanceMarket>())}.");
        }
        if (InstanceTypes.Count == 0 || InstanceTypes.Exists(string.IsNullOrWhiteSpace))
        {
            yield return Of("InstanceTypes is empty, or has an empty one; accepted: at least one, such as 'c5.large'.");
        }
        if (LaunchTemplateId is not null && LaunchTemplateName is not null)
        {
            yield return Of("LaunchTemplateId and LaunchTemplateName are both given; accepted: one of them.");
        }
        if (HasTemplate && (ImageId ?? InstanceProfile ?? KeyName ?? UserData) is not null | SecurityGroupIds.Count > 0)
        {
            yield return Of("a launch template is given, and also what belongs in it; accepted: a template, or ImageId, SecurityGroupIds, InstanceProfile, KeyName and UserData.");
        }
        if (!HasTemplate && ImageId is null)
        {
            yield return Of("neither a launch template nor an ImageId is given; accepted: one of them.");
        }
        foreach (var (name, value) in new (string, decimal)[]
        {
            (nameof(PricePerHour), PricePerHour ?? 0), (nameof(StoppedPricePerHour), StoppedPricePerHour), (nameof(LaunchDelay), LaunchDelay.Ticks), (nameof(ResumeDelay), ResumeDelay.Ticks), (nameof(MinimumBilling), MinimumBilling.Ticks),
        })
        {
            if (value < 0)
            {
                yield return Of($"{name} is less than 0; accepted: at least 0.");
            }
        }
        if (InterruptionsPerHour is { } often && !(often >= 0 && double.IsFinite(often)))
        {
            yield return Of(FormattableString.Invariant($"InterruptionsPerHour is {often}; accepted: a finite number of at least 0."));
        }
        if (!(DeviceTimeScale is >= 1 and < 1e9))
        {
            yield return Of(FormattableString.Invariant($"DeviceTimeScale is {DeviceTimeScale}; accepted: 1 to 1e9."));
        }
        if (StoppedPricePerHour > 0 && Market != InstanceMarket.Standby)
        {
            yield return Of(FormattableString.Invariant($"StoppedPricePerHour is {StoppedPricePerHour} and Market is {Market}; accepted: 0 where the market is not Standby."));
        }
        if (UserData is not null && Encoding.UTF8.GetByteCount(UserData) > MostUserData)
        {
            yield return Of($"UserData has {Encoding.UTF8.GetByteCount(UserData)} bytes; accepted: at most {MostUserData}.");
        }
        if (MaxInstances < 1)
        {
            yield return Of($"MaxInstances is {MaxInstances}; accepted: at least 1.");
        }
        if (PricePerHour is null && InstanceTypes.Find(type => !string.IsNullOrWhiteSpace(type) && Ec2PriceList.Find(type) is null) is { } unknown)
        {
            yield return Of($"PricePerHour is not given, and the bundled list, of {Ec2PriceList.Date}, does not have '{unknown}'; accepted: a price.");
        }
    }
}
