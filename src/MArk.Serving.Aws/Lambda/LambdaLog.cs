using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Lambda;

internal static partial class LambdaLog
{
    [LoggerMessage(101, LogLevel.Information, "Model {Model} spills to Lambda function {Function}: a warm call takes {Warm}, a request costs {Price} US dollars.")]
    public static partial void Ready(ILogger logger, string model, string function, TimeSpan warm, decimal price);

    [LoggerMessage(102, LogLevel.Warning, "Lambda function {Function} throttles: nothing is spilled to it for {Pause}.")]
    public static partial void Throttled(ILogger logger, string function, TimeSpan pause);

    [LoggerMessage(103, LogLevel.Warning, "A call of Lambda function {Function} is tried once again.")]
    public static partial void TriedAgain(ILogger logger, string function, Exception error);

    [LoggerMessage(104, LogLevel.Warning, "Lambda function {Function} failed {Count} requests together: they are sent again one by one.")]
    public static partial void Divided(ILogger logger, string function, int count, Exception error);

    [LoggerMessage(105, LogLevel.Debug, "Lambda function {Function} has {Warm} warm environments after {Pings} pings.")]
    public static partial void Prewarmed(ILogger logger, string function, int warm, int pings);
}
