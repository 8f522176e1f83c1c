using System.Net;
using System.Text.RegularExpressions;
using Amazon.Runtime;

namespace MArk.Serving.Aws.Ec2;

/// <summary>What AWS's error codes mean here. Source: "Error codes for the Amazon EC2 API", EC2 developer guide.</summary>
internal static partial class Ec2Errors
{
    public const string NoSuchInstance = "InvalidInstanceID.NotFound";
    private const int LongestMessage = 400;

    /// <summary>Another type or zone may have what this one has not.</summary>
    private static readonly HashSet<string> NoCapacity =
    [
        "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity", "InsufficientCapacity", "InsufficientCapacityOnHost", "InsufficientFreeAddressesInSubnet",
        "InsufficientAddressCapacity", "InsufficientVolumeCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow", "Unsupported", "UnsupportedOperation",
    ];

    private static readonly HashSet<string> Quota =
    [
        "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "MaxSpotFleetRequestCountExceeded", "AddressLimitExceeded", "VolumeLimitExceeded", "ResourceLimitExceeded",
        "NetworkInterfaceLimitExceeded", "TagLimitExceeded", "MaxConfigLimitExceededException", "MaxFleetCountExceeded", "PendingVerification",
    ];

    private static readonly HashSet<string> Throttling =
        ["RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "EC2ThrottledException", "SlowDown", "TooManyRequestsException", "ConcurrentTagAccess", "ResourceCountExceeded"];

    private static readonly HashSet<string> Denied = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "OptInRequired", "Blocked"];

    /// <summary>Credentials that are renewed, or a clock that is set right, mend these.</summary>
    private static readonly HashSet<string> Credentials =
        ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "InvalidSignatureException", "UnrecognizedClientException"];

    /// <summary>A state that passes, of AWS, of a machine, or of a launch's token, which the next launch has another of.</summary>
    private static readonly HashSet<string> Passing =
        ["IncorrectInstanceState", "IncorrectState", "IdempotentInstanceTerminated", "IdempotentParameterMismatch", NoSuchInstance, "InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "ServerInternal", "InternalServerError", "RequestTimeout"];

    /// <summary>Why a launch failed, as the fleet's controller is to take it.</summary>
    public static LaunchFailure FailureOf(AwsRequestException error) => FailureOf(error.ErrorCode, (error.InnerException as AmazonServiceException)?.StatusCode);

    /// <inheritdoc cref="FailureOf(AwsRequestException)"/>
    public static LaunchFailure FailureOf(string? code, HttpStatusCode? status = null) => Bare(code) switch
    {
        null => LaunchFailure.Unknown,
        var bare when NoCapacity.Contains(bare) => LaunchFailure.InsufficientCapacity,
        var bare when Quota.Contains(bare) => LaunchFailure.QuotaExceeded,
        var bare when Throttling.Contains(bare) => LaunchFailure.Throttled,
        var bare when Passing.Contains(bare) || Credentials.Contains(bare) => LaunchFailure.Unknown,
        // Not the request's fault, whatever the code: AWS's own, or of what is on the way to it.
        _ when status >= HttpStatusCode.InternalServerError => LaunchFailure.Unknown,
        // The request is wrong, or not allowed: InvalidAMIID.NotFound, InvalidSubnetID.NotFound, InvalidParameterValue, UnauthorizedOperation.
        _ => LaunchFailure.Misconfigured,
    };

    /// <summary>AWS's code for what went wrong; nothing where AWS was not reached.</summary>
    public static string? CodeOf(Exception error) => (error as AmazonServiceException)?.ErrorCode is { Length: > 0 } code ? Bare(code) : null;

    /// <summary>What went wrong, and what helps.</summary>
    public static string Explain(string action, Exception error) => Explain(action, CodeOf(error), error.Message);

    public static string Explain(string action, string? code, string? message) => Bare(code) switch
    {
        null => $"AWS was not reached, or there are no credentials: {message}",
        var bare when Denied.Contains(bare) => $"the credentials do not allow {MissingAction(message) ?? action} ({code}). Add it to the host's IAM policy. AWS said: {Shortened(message)}",
        var bare when Credentials.Contains(bare) => $"the credentials are not taken, or have expired ({code}); they are asked for again with the next call. AWS said: {Shortened(message)}",
        _ => $"{code}: {Shortened(message)}",
    };

    /// <summary>The action that a refusal names, which may be another than the one that was called: tags at launch, a role that is passed.</summary>
    private static string? MissingAction(string? message) => ActionName().Match(message ?? "") is { Success: true } match ? match.Groups[1].Value : null;

    private static string? Shortened(string? message) => message is { Length: > LongestMessage } ? message[..LongestMessage] + "..." : message;

    /// <summary>Some answers say whose fault it is before the code: <c>Client.</c>, <c>Server.</c>.</summary>
    private static string? Bare(string? code) => code is not null && (code.StartsWith("Client.", StringComparison.Ordinal) || code.StartsWith("Server.", StringComparison.Ordinal)) ? code[7..] : code;

    [GeneratedRegex(@"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")]
    private static partial Regex ActionName();
}
