using Amazon.EC2;
using Amazon.EC2.Model;

namespace MArk.Serving.Aws;

/// <summary>The instances of a model on EC2. Section <c>MArk:Models:{name}:Ec2</c>, then what the builder sets.</summary>
public sealed class Ec2Options
{
    private const int MaxPort = 65_535;
    private const int MaxTags = 40;         // of 50 that EC2 allows, some are the library's own
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(1);

    /// <summary>The region, such as <c>us-east-1</c>; <see langword="null"/>, the default: as the SDK finds it (environment, profile, instance metadata).</summary>
    public string? Region { get; set; }

    /// <summary>Where the EC2 API is spoken to in place of the region's own address: an emulator, or a private endpoint. Default <see langword="null"/>.</summary>
    public Uri? ServiceUrl { get; set; }

    /// <summary>
    /// Whose machines these are: a tag by which a host that starts again finds those it had. Two hosts with the same owner and model keep the same fleet; give each environment of an account another. The host's IAM policy names it too.
    /// At most 256 characters. Default <c>MArk.Serving</c>.
    /// </summary>
    public string Owner { get; set; } = "MArk.Serving";

    /// <summary>Further tags of each machine; at most 40, with names of 1 to 127 and values of at most 256 characters.</summary>
    public Dictionary<string, string> Tags { get; } = [];

    /// <summary>What can be launched; at least one.</summary>
    public List<Ec2Offering> Offerings { get; } = [];

    /// <summary>The port that workers listen on: 1 to 65535. Default 8000.</summary>
    public int WorkerPort { get; set; } = 8000;

    /// <summary>How workers are spoken to: <c>http</c>, the default, or <c>https</c>.</summary>
    public string WorkerScheme { get; set; } = Uri.UriSchemeHttp;

    /// <summary>Whether workers are reached at their public address; <see langword="false"/>, the default: at the private one, from a host in the same network.</summary>
    public bool UsePublicAddress { get; set; }

    /// <summary>What a worker is asked, to know whether it serves. Default <c>v2/health/ready</c>: ready, or blank and able to load a model.</summary>
    public string ReadyPath { get; set; } = "v2/health/ready";

    /// <summary>How often a worker is asked: more than 0, at most a day. Default 1 s.</summary>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long it may take to answer: more than 0, at most a day. Default 1 s.</summary>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>After so many failed probes on end a machine that served is taken to be lost, and is ended and replaced: at least 1. Default 10. Batches that fail put it out of rotation at once, and long before that.</summary>
    public int MaxProbeFailures { get; set; } = 10;

    /// <summary>How often EC2 is asked what became of the machines, all of them in one call: more than 0, at most a day. Default 5 s.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a machine may take to stop: more than 0, at most a day. Default 5 min.</summary>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether spot prices are looked up at the host's start, of the last hour; otherwise those of the bundled list hold. Default <see langword="true"/>.</summary>
    public bool LookUpSpotPrices { get; set; } = true;

    internal Func<IAmazonEC2>? Client { get; private set; }

    internal Func<Instance, Uri?>? EndpointOf { get; private set; }

    internal Action<SocketsHttpHandler>? ConfigureHandler { get; private set; }

    /// <summary>Speaks to EC2 by a client of the host's, in place of one with the SDK's default credentials and adaptive retries.</summary>
    /// <param name="create">Makes the client; it is disposed of with the host.</param>
    /// <returns>These options.</returns>
    public Ec2Options UseClient(Func<IAmazonEC2> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        Client = create;
        return this;
    }

    /// <summary>Says where a machine's worker answers, in place of its address and <see cref="WorkerPort"/>.</summary>
    /// <param name="endpointOf">The worker's address; <see langword="null"/> while it has none.</param>
    /// <returns>These options.</returns>
    public Ec2Options UseEndpoint(Func<Instance, Uri?> endpointOf)
    {
        ArgumentNullException.ThrowIfNull(endpointOf);
        EndpointOf = endpointOf;
        return this;
    }

    /// <summary>Sets the connections up over which workers are asked whether they serve: a client certificate, the certificates that are trusted.</summary>
    /// <param name="configure">Changes the handler.</param>
    /// <returns>These options.</returns>
    public Ec2Options ConfigureProbes(Action<SocketsHttpHandler> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        ConfigureHandler = configure;
        return this;
    }

    /// <summary>What is wrong with the options, each with what is accepted.</summary>
    internal IEnumerable<string> Violations()
    {
        if (string.IsNullOrWhiteSpace(Owner) || Owner.Length > Ec2.Ec2Tags.LongestValue)
        {
            yield return $"Owner is '{Owner}'; accepted: a name of 1 to {Ec2.Ec2Tags.LongestValue} characters.";
        }
        if (ServiceUrl is { IsAbsoluteUri: false })
        {
            yield return $"ServiceUrl is '{ServiceUrl}'; accepted: an absolute address.";
        }
        if (Offerings.Count == 0)
        {
            yield return "Offerings is empty; accepted: at least one.";
        }
        if (Offerings.GroupBy(o => o.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            yield return $"Offerings has '{twice.Key}' {twice.Count()} times; accepted: names that are unique.";
        }
        if (WorkerPort is < 1 or > MaxPort)
        {
            yield return $"WorkerPort is {WorkerPort}; accepted: 1 to {MaxPort}.";
        }
        if (WorkerScheme != Uri.UriSchemeHttp && WorkerScheme != Uri.UriSchemeHttps)
        {
            yield return $"WorkerScheme is '{WorkerScheme}'; accepted: http and https.";
        }
        if (string.IsNullOrWhiteSpace(ReadyPath) || !Uri.TryCreate(ReadyPath, UriKind.Relative, out _))
        {
            yield return $"ReadyPath is '{ReadyPath}'; accepted: a path, such as 'v2/health/ready'.";
        }
        if (MaxProbeFailures < 1)
        {
            yield return $"MaxProbeFailures is {MaxProbeFailures}; accepted: at least 1.";
        }
        foreach (var (name, value) in new[] { (nameof(ProbeInterval), ProbeInterval), (nameof(ProbeTimeout), ProbeTimeout), (nameof(PollInterval), PollInterval), (nameof(StopTimeout), StopTimeout) })
        {
            if (value <= TimeSpan.Zero || value > LongestInterval)
            {
                yield return $"{name} is {value}; accepted: more than 0, at most {LongestInterval}.";
            }
        }
        if (Tags.Count > MaxTags)
        {
            yield return $"Tags has {Tags.Count}; accepted: at most {MaxTags}.";
        }
        foreach (var (key, value) in Tags)
        {
            if (key.Length is 0 or > Ec2.Ec2Tags.LongestKey || key.StartsWith(Ec2.Ec2Tags.Prefix, StringComparison.Ordinal) || key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase))
            {
                yield return $"Tags has '{key}'; accepted: names of 1 to {Ec2.Ec2Tags.LongestKey} characters that begin neither with '{Ec2.Ec2Tags.Prefix}' nor with 'aws:'.";
            }
            if (value is null or { Length: > Ec2.Ec2Tags.LongestValue })
            {
                yield return $"Tags has a value of {value?.Length ?? 0} characters for '{key}'; accepted: a text of at most {Ec2.Ec2Tags.LongestValue}.";
            }
        }
        foreach (var violation in Offerings.SelectMany(o => o.Violations()))
        {
            yield return violation;
        }
    }
}
