namespace MArk.Serving.OpenInference;

/// <summary>Servers that run already, whoever started them.</summary>
public sealed class EndpointsOptions
{
    /// <summary>Their addresses; at least one, each once.</summary>
    public required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>The name of their offering. Default <c>endpoint</c>.</summary>
    public string OfferingName { get; init; } = "endpoint";

    /// <summary>What one of them costs while it is used, US dollars per hour. Default 0.</summary>
    public decimal PricePerHour { get; init; }

    /// <summary>How it is found out whether they are well.</summary>
    public HealthOptions Health { get; init; } = new();

    internal void Check()
    {
        if (Endpoints is null or [])
        {
            throw new ArgumentException($"{nameof(EndpointsOptions)}.{nameof(Endpoints)} is empty; accepted: at least one address.");
        }
        foreach (var endpoint in Endpoints)
        {
            if (endpoint is not { IsAbsoluteUri: true } || (endpoint.Scheme != Uri.UriSchemeHttp && endpoint.Scheme != Uri.UriSchemeHttps))
            {
                throw new ArgumentException($"{nameof(EndpointsOptions)}.{nameof(Endpoints)} has '{endpoint}'; accepted: absolute addresses of http or https.");
            }
        }
        if (Endpoints.Distinct().Count() < Endpoints.Count)
        {
            throw new ArgumentException($"{nameof(EndpointsOptions)}.{nameof(Endpoints)} has an address twice; accepted: each once.");
        }
        ArgumentException.ThrowIfNullOrWhiteSpace(OfferingName);
        if (PricePerHour < 0)
        {
            throw new ArgumentException(FormattableString.Invariant($"{nameof(EndpointsOptions)}.{nameof(PricePerHour)} is {PricePerHour}; accepted: at least 0."));
        }
        Health.Check();
    }
}
