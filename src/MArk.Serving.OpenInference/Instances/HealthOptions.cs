namespace MArk.Serving.OpenInference;

/// <summary>How it is found out whether a server is well.</summary>
public sealed class HealthOptions
{
    /// <summary>How often a server is probed; more than 0. Default 1 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a probe may take; more than 0. Default 1 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>After so many failed probes on end a server is given up; at least 1. Default 3. Batches that fail put a server out of rotation at once, and long before that.</summary>
    public int MaxFailures { get; init; } = 3;

    /// <summary>What is asked, relative to the server's address. Default <c>v2/health/ready</c>; a server of the v1 form is asked for <c>v1/models/{model}</c>.</summary>
    public string Path { get; init; } = "v2/health/ready";

    /// <summary>Whether it is asked over gRPC, by <c>ServerReady</c>, in place of the path: for servers that speak nothing else at their address. Default <see langword="false"/>.</summary>
    public bool Grpc { get; init; }

    /// <summary>Sent with each probe as <c>Authorization: Bearer</c>; none by default. Never logged.</summary>
    public string? ApiKey { get; init; }

    /// <summary>The version of HTTP that is spoken: 1.1, the default, or 2.0 where the server speaks nothing else.</summary>
    public Version HttpVersion { get; init; } = System.Net.HttpVersion.Version11;

    /// <summary>Sets the connections up: a client certificate, the certificates that are trusted.</summary>
    public Action<SocketsHttpHandler>? ConfigureHandler { get; init; }

    internal void Check()
    {
        Require(Interval > TimeSpan.Zero, nameof(Interval), Interval, "more than 0");
        Require(Timeout > TimeSpan.Zero, nameof(Timeout), Timeout, "more than 0");
        Require(MaxFailures >= 1, nameof(MaxFailures), MaxFailures, "at least 1");
        Require(HttpVersion == System.Net.HttpVersion.Version11 || HttpVersion == System.Net.HttpVersion.Version20, nameof(HttpVersion), HttpVersion, "1.1 and 2.0");

        static void Require<T>(bool holds, string option, T value, string accepted)
        {
            if (!holds)
            {
                throw new ArgumentException(FormattableString.Invariant($"{nameof(HealthOptions)}.{option} is {value}; accepted: {accepted}."));
            }
        }
    }
}
