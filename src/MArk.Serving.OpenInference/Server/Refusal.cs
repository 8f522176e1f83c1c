using Grpc.Core;
using MArk.Serving.OpenInference.Delivery;
using Microsoft.AspNetCore.Http;

namespace MArk.Serving.OpenInference.Server;

/// <summary>What a client is told where there is no answer.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Code">The gRPC status.</param>
/// <param name="Message">What was wrong and what is accepted.</param>
/// <param name="RetryAfter">When to come back, where that can be told.</param>
internal readonly record struct Refusal(int Status, StatusCode Code, string Message, TimeSpan? RetryAfter = null)
{
    private const int ClientClosedRequest = 499;

    public static Refusal Of(Exception error) => error switch
    {
        WireFormatException or InvalidInputException => new(StatusCodes.Status400BadRequest, StatusCode.InvalidArgument, error.Message),
        BodyTooLargeException => new(StatusCodes.Status413PayloadTooLarge, StatusCode.ResourceExhausted, error.Message),
        NoSuchModelException => new(StatusCodes.Status404NotFound, StatusCode.NotFound, error.Message),
        ApiKeyException => new(StatusCodes.Status401Unauthorized, StatusCode.Unauthenticated, error.Message),
        InferenceRejectedException rejected => Of(rejected),
        RepositoryException or ModelLoadException => new(StatusCodes.Status400BadRequest, StatusCode.InvalidArgument, error.Message),
        OperationCanceledException => new(ClientClosedRequest, StatusCode.Cancelled, "The client has gone."),
        BadHttpRequestException bad => new(bad.StatusCode, StatusCode.InvalidArgument, bad.Message),
        // The request is at fault as far as is known: another server of the model would fail it too.
        InferenceFailedException => new(StatusCodes.Status422UnprocessableEntity, StatusCode.InvalidArgument, error.Message),
        IOException => new(ClientClosedRequest, StatusCode.Cancelled, "The client's request has not come whole."),
        ServingException => new(StatusCodes.Status500InternalServerError, StatusCode.Internal, error.Message),
        // What it says may be for nobody outside.
        _ => new(StatusCodes.Status500InternalServerError, StatusCode.Internal, "The server failed; its log says how."),
    };

    /// <summary>Whether the server is at fault, and its log should say so.</summary>
    public bool IsFault => Status == StatusCodes.Status500InternalServerError;

    private static Refusal Of(InferenceRejectedException rejected) => rejected.Reason switch
    {
        RejectionReason.QueueFull => new(StatusCodes.Status429TooManyRequests, StatusCode.ResourceExhausted, rejected.Message, rejected.RetryAfter),
        RejectionReason.DeadlineUnreachable => new(StatusCodes.Status504GatewayTimeout, StatusCode.DeadlineExceeded, rejected.Message, rejected.RetryAfter),
        _ => new(StatusCodes.Status503ServiceUnavailable, StatusCode.Unavailable, rejected.Message, rejected.RetryAfter),
    };
}

/// <summary>There is no such model, or no such version of it.</summary>
internal sealed class NoSuchModelException(string message) : Exception(message);

/// <summary>A body is longer than it may be.</summary>
internal sealed class BodyTooLargeException(int limit) : Exception($"The body has more than the {limit} bytes that a request may have.");

/// <summary>A call brings no key, or none that is known.</summary>
internal sealed class ApiKeyException() : Exception("No key, or one that is not known; accepted: Authorization: Bearer and a key of this server.");
