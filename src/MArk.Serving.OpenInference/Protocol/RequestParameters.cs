namespace MArk.Serving.OpenInference.Protocol;

/// <summary>The parameters of a request that the engine heeds; the same in every form of the protocol.</summary>
internal static class RequestParameters
{
    /// <summary>The time within which the answer is worth having, in microseconds, as other servers have it; 0 is none.</summary>
    public static void SetTimeout(InferMessage message, long microseconds) => message.Timeout = microseconds == 0 ? null : microseconds is > 0 and <= long.MaxValue / TimeSpan.TicksPerMicrosecond
        ? TimeSpan.FromTicks(microseconds * TimeSpan.TicksPerMicrosecond)
        : throw new WireFormatException("parameters.timeout", $"it is {microseconds}; accepted: microseconds, at least 0.");

    /// <summary>The class: -1, 0 or 1.</summary>
    public static void SetPriority(InferMessage message, long priority) => message.Priority = priority is >= (int)RequestPriority.Low and <= (int)RequestPriority.High
        ? (RequestPriority)priority
        : throw new WireFormatException("parameters.priority", $"it is {priority}; accepted: -1 (low), 0 (normal) and 1 (high).");
}
