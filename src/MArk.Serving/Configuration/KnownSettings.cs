using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Configuration;

namespace MArk.Serving.Configuration;

/// <summary>The keys that a model's section of the configuration may have: those of its settings, and those that packages add.</summary>
internal sealed class KnownSettings
{
    private const string Each = "*";

    private readonly Dictionary<string, SortedSet<string>> _keys = new(StringComparer.OrdinalIgnoreCase);

    public KnownSettings()
    {
        Add<ModelOptions>("");
        Add<FleetOptions>("Fleet");
        Add<OfferingOptions>("Fleet:Offerings:*");
        Add<ScheduledCapacity>("Fleet:ScheduledCapacity:*");
    }

    /// <summary>Adds a section's keys: the properties of what is bound from it. What is below a key is not looked at, unless it is added too.</summary>
    /// <typeparam name="TOptions">What is bound.</typeparam>
    /// <param name="section">The section, below the model's; <c>*</c> stands for each element of a list or dictionary.</param>
    public void Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties)] TOptions>(string section)
    {
        var above = "";
        foreach (var name in section.Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            if (name != Each)
            {
                KeysOf(above).Add(name);
            }
            above = Join(above, name);
        }
        foreach (var property in typeof(TOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.SetMethod is { IsPublic: true } || (property.PropertyType != typeof(string) && property.PropertyType.IsAssignableTo(typeof(IEnumerable))))
            {
                KeysOf(section).Add(property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? property.Name);
            }
        }
    }

    /// <summary>The keys of a model's section that no setting has, but for <see cref="Unused"/>.</summary>
    /// <param name="section">The model's section.</param>
    /// <returns>Each key's full path, and the keys that are accepted in its place.</returns>
    public IEnumerable<(string Path, IReadOnlyCollection<string> Accepted)> Unknown(IConfigurationSection section) => Unknown(section, "");

    /// <summary>The sections right below a model's that no setting has: those of parts that the model does not use here, as another environment's host may.</summary>
    /// <param name="section">The model's section.</param>
    /// <returns>Each section's full path.</returns>
    public IEnumerable<string> Unused(IConfigurationSection section) =>
        section.GetChildren().Where(child => IsSection(child) && !_keys[""].Contains(child.Key)).Select(child => child.Path);

    private static bool IsSection(IConfigurationSection child) => child.Value is null && child.GetChildren().Any();

    private IEnumerable<(string Path, IReadOnlyCollection<string> Accepted)> Unknown(IConfiguration section, string known)
    {
        var keys = _keys.GetValueOrDefault(known);
        var each = Join(known, Each);
        if (keys is null && !_keys.ContainsKey(each))
        {
            yield break;
        }
        foreach (var child in section.GetChildren())
        {
            if (keys is not null && !keys.Contains(child.Key))
            {
                if (known.Length > 0 || !IsSection(child))
                {
                    yield return (child.Path, keys);
                }
                continue;
            }
            foreach (var unknown in Unknown(child, keys is null ? each : Join(known, child.Key)))
            {
                yield return unknown;
            }
        }
    }

    private SortedSet<string> KeysOf(string section)
    {
        if (!_keys.TryGetValue(section, out var keys))
        {
            _keys.Add(section, keys = new SortedSet<string>(StringComparer.OrdinalIgnoreCase));
        }
        return keys;
    }

    private static string Join(string section, string key) => section.Length == 0 ? key : $"{section}:{key}";
}
