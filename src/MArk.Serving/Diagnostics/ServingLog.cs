using Microsoft.Extensions.Logging;

namespace MArk.Serving.Diagnostics;

internal static partial class ServingLog
{
    [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "A part of model '{Model}' failed; the engine goes on without it.")]
    public static partial void PartFailed(ILogger logger, string model, Exception error);

    [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "Model '{Model}' is served.")]
    public static partial void Started(ILogger logger, string model);

    [LoggerMessage(EventId = 3, Level = LogLevel.Information, Message = "Model '{Model}' has stopped.")]
    public static partial void Stopped(ILogger logger, string model);
}
