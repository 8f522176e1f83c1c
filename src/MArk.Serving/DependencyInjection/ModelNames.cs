using MArk.Serving.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.DependencyInjection;

/// <summary>The names of the models of a host, however many times serving was added to it.</summary>
internal sealed class ModelNames
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <summary>Whether they are all that their configuration is for: not those of one that a running host starts besides.</summary>
    public bool AreAll { get; init; } = true;

    /// <summary>Those of a host's services.</summary>
    public static ModelNames Of(IServiceCollection services)
    {
        if (services.FirstOrDefault(s => s.ServiceType == typeof(ModelNames))?.ImplementationInstance is ModelNames names)
        {
            return names;
        }
        names = new ModelNames();
        services.AddSingleton(names);
        return names;
    }

    /// <returns>Whether the name was free.</returns>
    public bool TryAdd(string name) => _names.Add(name);

    /// <summary>The sections that are of none of the models.</summary>
    public IEnumerable<string> Strangers(IConfiguration configuration) => !AreAll ? []
        : configuration.GetSection(ModelOptions.Sections).GetChildren().Where(section => !_names.Any(name => IsOf(section.Key, name))).Select(section => section.Path);

    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", _names);

    /// <summary>A name with colons is a section of a section.</summary>
    private static bool IsOf(string section, string name) =>
        name.StartsWith(section, StringComparison.OrdinalIgnoreCase) && (name.Length == section.Length || name[section.Length] == ':');
}
