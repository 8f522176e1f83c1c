using MArk.Serving.Configuration;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Provisioning;

/// <summary>A provider's offerings as the settings have them: first what <c>Fleet:Offerings</c> says, then the price file, then the provider.</summary>
internal static class ConfiguredOfferings
{
    /// <exception cref="PriceFileException">The price file cannot be read or is no such file.</exception>
    /// <exception cref="OptionsValidationException">The settings name an offering that there is not; names those there are. Or they give one up sooner than it can serve.</exception>
    public static IReadOnlyList<InstanceOffering> Of(string modelName, IReadOnlyList<InstanceOffering> offered, FleetOptions options)
    {
        foreach (var name in options.Offerings.Keys)
        {
            if (offered.All(o => o.Name != name))
            {
                throw Refusal(modelName, $"MArk:Models:{modelName}:Fleet:Offerings has '{name}'; accepted: {Listed(offered.Select(o => o.Name))}, which the provider offers.");
            }
        }
        if (offered.FirstOrDefault(o => options.ReadyTimeout < o.LaunchDelay) is { } slow)
        {
            throw Refusal(
                modelName,
                $"MArk:Models:{modelName}:Fleet:ReadyTimeout is {options.ReadyTimeout}; accepted: at least {slow.LaunchDelay}, the launch delay of '{slow.Name}', or nothing for what follows from it.");
        }
        // A list of prices is usually one of more than what a fleet is made of.
        var listed = options.PriceFile is { } path ? PriceFile.Load(path) : new Dictionary<string, OfferingOptions>();
        var nothing = new OfferingOptions();
        return [.. offered.Select(o => options.Offerings.GetValueOrDefault(o.Name, nothing).Or(listed.GetValueOrDefault(o.Name, nothing)).ApplyTo(o))];
    }

    /// <summary>Refuses profiles of offerings that there are not: they would be passed over, and the instances measured.</summary>
    /// <param name="modelName">The model.</param>
    /// <param name="profiled">The offerings that profiles were given of.</param>
    /// <param name="there">Those there are.</param>
    /// <exception cref="OptionsValidationException">There is one too many; names it, and those there are.</exception>
    public static void CheckProfiles(string modelName, IEnumerable<string> profiled, IReadOnlyCollection<string> there)
    {
        if (profiled.FirstOrDefault(name => !there.Contains(name)) is { } unknown)
        {
            throw Refusal(modelName, $"Model '{modelName}' was given a profile of '{unknown}' by WithProfile; accepted: {Listed(there)}, the instances that it has.");
        }
    }

    private static OptionsValidationException Refusal(string modelName, string why) => new(modelName, typeof(ModelOptions), [why]);

    private static string Listed(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'"));
}
