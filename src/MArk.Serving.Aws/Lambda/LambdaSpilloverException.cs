namespace MArk.Serving.Aws;

/// <summary>A Lambda function did not answer requests that were spilled to it. They go back to the fleet, unless they are at fault themselves.</summary>
public sealed class LambdaSpilloverException : ServingException
{
    /// <summary>An invocation that came to nothing.</summary>
    /// <param name="functionName">The function.</param>
    /// <param name="failure">What failed.</param>
    /// <param name="message">What was wrong and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public LambdaSpilloverException(string functionName, LambdaFailure failure, string message, Exception? innerException = null)
        : base($"Lambda function '{functionName}': {message}", innerException) => (FunctionName, Failure) = (functionName, failure);

    /// <summary>The function.</summary>
    public string FunctionName { get; }

    /// <summary>What failed.</summary>
    public LambdaFailure Failure { get; }

    /// <summary>When it wants to be called again, where it says.</summary>
    internal TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether one of the requests may be at fault rather than the function.</summary>
    internal bool IsOfRequest => Failure is LambdaFailure.HandlerFailed or LambdaFailure.RequestRefused or LambdaFailure.PayloadTooLarge;

    /// <summary>Whether it may well work when it is tried again. Inference keeps no state: that it may have run is no harm.</summary>
    internal bool IsTransient => Failure is LambdaFailure.ServiceFailed or LambdaFailure.Unreachable;
}

/// <summary>What failed where a Lambda function did not answer.</summary>
public enum LambdaFailure
{
    /// <summary>Lambda itself: it answered with a status of 500 or above. Tried once again if there is time.</summary>
    ServiceFailed = 0,

    /// <summary>Lambda cannot be reached. Tried once again if there is time.</summary>
    Unreachable,

    /// <summary>There are too many invocations; no more are made for a while.</summary>
    Throttled,

    /// <summary>The server in the function has too much to do, or does not have the model ready.</summary>
    Busy,

    /// <summary>There is no such function, alias or version.</summary>
    NoSuchFunction,

    /// <summary>Lambda, or the server in the function, does not accept who asks.</summary>
    AccessDenied,

    /// <summary>The server in the function does not have the model.</summary>
    NoSuchModel,

    /// <summary>There was no answer in time.</summary>
    TimedOut,

    /// <summary>The function's environment ended: it crashed, ran out of memory or out of time.</summary>
    EnvironmentFailed,

    /// <summary>The function's code raised an error.</summary>
    HandlerFailed,

    /// <summary>The server in the function does not accept the request.</summary>
    RequestRefused,

    /// <summary>The event is larger than an invocation may be. The request goes back to the fleet, which has no such limit.</summary>
    PayloadTooLarge,

    /// <summary>What the function answered is no answer to what it was asked.</summary>
    BadAnswer,
}
