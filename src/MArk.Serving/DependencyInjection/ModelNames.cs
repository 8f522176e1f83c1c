using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.DependencyInjection;

/// <summary>The names of the models of a host, however many times serving was added to it.</summary>
internal sealed class ModelNames
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

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
}
