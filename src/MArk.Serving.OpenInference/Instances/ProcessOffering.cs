namespace MArk.Serving.OpenInference;

/// <summary>A kind of worker process on this machine: a program that speaks the Open Inference Protocol on a port it is told.</summary>
public sealed record ProcessOffering
{
    /// <summary>The offering's name. Default <c>process</c>.</summary>
    public string Name { get; init; } = "process";

    /// <summary>The program: a path, or a name that the machine's path finds.</summary>
    public required string FileName { get; init; }

    /// <summary>Its arguments. In each, <c>{port}</c> is the port it is to listen on at 127.0.0.1, and <c>{id}</c> the instance's name.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Variables that its environment has besides this process's own, with the same places filled in. Default <c>ASPNETCORE_URLS</c>: <c>http://127.0.0.1:{port}</c>.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string> { ["ASPNETCORE_URLS"] = "http://127.0.0.1:{port}" };

    /// <summary>Its working directory; <see langword="null"/>, the default: this process's own.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>The most processes at a time; at least 1. Default 1024.</summary>
    public int MaxInstances { get; init; } = 1024;

    /// <summary>What one is taken to cost, US dollars per hour. Default 0.</summary>
    public decimal PricePerHour { get; init; }

    /// <summary>From its start until it serves, as far as it is known beforehand; at least 0. Default 1 s; it is measured then.</summary>
    public TimeSpan LaunchDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long it may take until its first probe succeeds; more than 0. Default 1 min.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How it is found out whether it is well. By default it is asked for <c>v2/health/live</c>, since a worker may have nothing loaded yet.</summary>
    public HealthOptions Health { get; init; } = new() { Path = "v2/health/live" };

    internal void Check()
    {
        Require(!string.IsNullOrWhiteSpace(Name), nameof(Name), $"'{Name}'", "a name");
        Require(!string.IsNullOrWhiteSpace(FileName), nameof(FileName), $"'{FileName}'", "a program");
        Require(MaxInstances >= 1, nameof(MaxInstances), MaxInstances, "at least 1");
        Require(PricePerHour >= 0, nameof(PricePerHour), PricePerHour, "at least 0");
        Require(LaunchDelay >= TimeSpan.Zero, nameof(LaunchDelay), LaunchDelay, "at least 0");
        Require(StartTimeout > TimeSpan.Zero, nameof(StartTimeout), StartTimeout, "more than 0");
        Health.Check();

        void Require<T>(bool holds, string option, T value, string accepted)
        {
            if (!holds)
            {
                throw new ArgumentException(FormattableString.Invariant($"Process offering '{Name}': {option} is {value}; accepted: {accepted}."));
            }
        }
    }
}
