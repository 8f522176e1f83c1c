using MArk.Serving.Configuration;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Provisioning;

/// <summary>A provider's offerings as the settings have them: first what <c>Fleet:Offerings</c> says, then the price file, then the provider.</summary>
internal static class ConfiguredOfferings
{
    /// <exception cref="PriceFileException">The price file cannot be read or is no such file.</exception>
    /// <exception cref="OptionsValidationException">The settings name an offering that there is not; names those there are.</exception>
    public static IReadOnlyList<InstanceOffering> Of(string modelName, IReadOnlyList<InstanceOffering> offered, FleetOptions options)
    {
        foreach (var name in options.Offerings.Keys)
        {
            if (offered.All(o => o.Name != name))
            {
                throw new OptionsValidationException(
                    modelName, typeof(ModelOptions),
                    [$"MArk:Models:{modelName}:Fleet:Offerings has '{name}'; accepted: {string.Join(", ", offered.Select(o => $"'{o.Name}'"))}, which the provider offers."]);
            }
        }
        // A list of prices is usually one of more than what a fleet is made of.
        var listed = options.PriceFile is { } path ? PriceFile.Load(path) : new Dictionary<string, OfferingOptions>();
        var nothing = new OfferingOptions();
        return [.. offered.Select(o => options.Offerings.GetValueOrDefault(o.Name, nothing).Or(listed.GetValueOrDefault(o.Name, nothing)).ApplyTo(o))];
    }
}
