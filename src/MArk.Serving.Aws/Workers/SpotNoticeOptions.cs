namespace MArk.Serving.Aws;

/// <summary>How a worker learns that its machine will be taken away.</summary>
public sealed class SpotNoticeOptions
{
    private const string EndpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

    /// <summary>Where the machine's metadata is served. Default: as the environment variable <c>AWS_EC2_METADATA_SERVICE_ENDPOINT</c> says, else <c>http://169.254.169.254</c>.</summary>
    public Uri Endpoint { get; set; } = new(Environment.GetEnvironmentVariable(EndpointVariable) is { Length: > 0 } endpoint ? endpoint : "http://169.254.169.254");

    /// <summary>How often it is read: more than 0. Default 5 s, as AWS recommends.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long it may take to answer: more than 0. Default 2 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(2);

    internal string? Violation =>
        Endpoint is not { IsAbsoluteUri: true } ? $"Endpoint is '{Endpoint}'; accepted: an absolute address."
        : Interval <= TimeSpan.Zero ? $"Interval is {Interval}; accepted: more than 0."
        : Timeout <= TimeSpan.Zero ? $"Timeout is {Timeout}; accepted: more than 0."
        : null;
}
