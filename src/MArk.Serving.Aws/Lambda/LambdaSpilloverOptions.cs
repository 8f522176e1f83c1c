using Amazon.Runtime;
using MArk.Serving.OpenInference;

namespace MArk.Serving.Aws;

/// <summary>
/// Which Lambda function answers the requests that the fleet cannot, and what it costs. The function gets events of the form that function URLs and HTTP APIs send (payload format 2.0), for
/// a server of the Open Inference Protocol: the function of this library's samples, or any such server behind a web adapter.
/// </summary>
public sealed class LambdaSpilloverOptions
{
    private const int MaxPayload = 6 * 1024 * 1024;
    private const int LeastPayload = 4096;
    private const int LargestBatch = 65_536;

    /// <summary>The function's name, or its ARN. Required.</summary>
    public string FunctionName { get; set; } = "";

    /// <summary>The alias or version of the function; <see langword="null"/>, the default, its latest.</summary>
    public string? Qualifier { get; set; }

    /// <summary>The AWS region; <see langword="null"/>, the default, as the environment or the profile says.</summary>
    public string? Region { get; set; }

    /// <summary>Where Lambda's API is; <see langword="null"/>, the default, at the region's public endpoint. For private endpoints and emulators.</summary>
    public Uri? ServiceUrl { get; set; }

    /// <summary>The model's name in the function; <see langword="null"/>, the default, the same as here.</summary>
    public string? Model { get; set; }

    /// <summary>The version to ask for; <see langword="null"/>, the default, leaves it to the function.</summary>
    public string? Version { get; set; }

    /// <summary>How tensors are sent: <see cref="OpenInferenceForm.RestBinary"/>, the default, or <see cref="OpenInferenceForm.RestJson"/>, for servers without the binary extension.</summary>
    public OpenInferenceForm Form { get; set; }

    /// <summary>The model's tensors; <see langword="null"/>, the default, as the function says at start.</summary>
    public ModelSignature? Signature { get; set; }

    /// <summary>Sent with each event as <c>Authorization: Bearer</c>, for the server in the function; none by default. Never logged.</summary>
    public string? ApiKey { get; set; }

    /// <summary>
    /// The most invocations at a time, 1 to 10000. Default 100: a tenth of the 1000 that an account has by default, so that its other functions go on. It should not be above what is reserved for
    /// the function.
    /// </summary>
    public int MaxConcurrency { get; set; } = 100;

    /// <summary>The most requests of one invocation, 1 to 65536. Default 32. Requests share one only where that is cheaper, by what invocations took.</summary>
    public int MaxBatchSize { get; set; } = 32;

    /// <summary>How long a request waits for others to share its invocation, where that is cheaper: 0 to 1 s. Default 1 ms; with 0 only those share one that had to wait for another to end.</summary>
    public TimeSpan PackWait { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>The longest that an invocation of several requests may be expected to take, or one that is sent again: more than 0. <see langword="null"/>, the default: half the model's objective.</summary>
    public TimeSpan? MaxPackedLatency { get; set; }

    /// <summary>The largest event, bytes: 4096 to 6291456, which is Lambda's limit for synchronous invocations (6 MiB; Lambda quotas, November 2025) and the default.</summary>
    public int MaxPayloadBytes { get; set; } = MaxPayload;

    /// <summary>After this time an invocation is given up: more than 0, at most 15 min, which is the most that a function may run. Default 30 s.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the function may be unavailable, or throttled, when the model starts, before the start fails: more than 0. Default 1 min.</summary>
    public TimeSpan ReadyTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long an environment is taken to stay warm without a call: more than 0. Default 10 min; Lambda promises nothing.</summary>
    public TimeSpan IdleLifetime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The function's memory, MiB, for prices where invocations do not report it: 128 to 10240. Default 1024.</summary>
    public int MemoryMiB { get; set; } = 1024;

    /// <summary>What a GB-second costs, US dollars; at least 0. Default 0.0000166667: x86, us-east-1, first tier (AWS Lambda pricing, November 2025). On Arm 0.0000133334.</summary>
    public decimal PricePerGbSecond { get; set; } = 0.0000166667m;

    /// <summary>What an invocation costs beside its duration, US dollars; at least 0. Default 0.0000002, 0.20 a million (AWS Lambda pricing, November 2025).</summary>
    public decimal PricePerCall { get; set; } = 0.0000002m;

    /// <summary>In place of what the SDK's default chain finds.</summary>
    internal Func<AWSCredentials>? Credentials { get; private set; }

    /// <summary>For tests.</summary>
    internal void UseCredentials(AWSCredentials? credentials) => Credentials = credentials is null ? null : () => credentials;

    /// <summary>What is wrong with the options, each with what is accepted.</summary>
    internal IEnumerable<string> Violations()
    {
        (bool Holds, string Violation)[] checks =
        [
            Check(!string.IsNullOrWhiteSpace(FunctionName), nameof(FunctionName), $"'{FunctionName}'", "the name or the ARN of a function"),
            Check(Qualifier is null || !string.IsNullOrWhiteSpace(Qualifier), nameof(Qualifier), $"'{Qualifier}'", "an alias, a version, or null"),
            Check(Region is null || !string.IsNullOrWhiteSpace(Region), nameof(Region), $"'{Region}'", "a region, or null"),
            Check(ServiceUrl is null || (ServiceUrl.IsAbsoluteUri && ServiceUrl.Scheme is "http" or "https"), nameof(ServiceUrl), ServiceUrl, "an absolute http or https address, or null"),
            Check(Model is null || (!string.IsNullOrWhiteSpace(Model) && Model is not ("." or "..")), nameof(Model), $"'{Model}'", "the name of a model, or null"),
            Check(Version is null || (!string.IsNullOrWhiteSpace(Version) && Version is not ("." or "..")), nameof(Version), $"'{Version}'", "a version, or null"),
            Check(Form is OpenInferenceForm.RestBinary or OpenInferenceForm.RestJson, nameof(Form), Form, $"{OpenInferenceForm.RestBinary} and {OpenInferenceForm.RestJson}"),
            Check(MaxConcurrency is >= 1 and <= 10_000, nameof(MaxConcurrency), MaxConcurrency, "1 to 10000"),
            Check(MaxBatchSize is >= 1 and <= LargestBatch, nameof(MaxBatchSize), MaxBatchSize, $"1 to {LargestBatch}"),
            Check(PackWait >= TimeSpan.Zero && PackWait <= TimeSpan.FromSeconds(1), nameof(PackWait), PackWait, "0 to 1 s"),
            Check(MaxPackedLatency is null || MaxPackedLatency > TimeSpan.Zero, nameof(MaxPackedLatency), MaxPackedLatency, "more than 0, or null for half the objective"),
            Check(MaxPayloadBytes is >= LeastPayload and <= MaxPayload, nameof(MaxPayloadBytes), MaxPayloadBytes, $"{LeastPayload} to {MaxPayload}"),
            Check(CallTimeout > TimeSpan.Zero && CallTimeout <= TimeSpan.FromMinutes(15), nameof(CallTimeout), CallTimeout, "more than 0, at most 15 min"),
            Check(ReadyTimeout > TimeSpan.Zero, nameof(ReadyTimeout), ReadyTimeout, "more than 0"),
            Check(IdleLifetime > TimeSpan.Zero, nameof(IdleLifetime), IdleLifetime, "more than 0"),
            Check(MemoryMiB is >= 128 and <= 10_240, nameof(MemoryMiB), MemoryMiB, "128 to 10240"),
            Check(PricePerGbSecond is >= 0 and < 1, nameof(PricePerGbSecond), PricePerGbSecond, "0 to 1"),
            Check(PricePerCall is >= 0 and < 1, nameof(PricePerCall), PricePerCall, "0 to 1"),
        ];
        return checks.Where(c => !c.Holds).Select(c => c.Violation);
    }

    private static (bool Holds, string Violation) Check<T>(bool holds, string option, T value, string accepted) => (holds, FormattableString.Invariant($"{option} is {value}; accepted: {accepted}."));
}
