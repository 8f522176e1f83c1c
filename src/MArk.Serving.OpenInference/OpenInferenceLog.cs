using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference;

internal static partial class OpenInferenceLog
{
    public static void PartFailed(ILogger? logger, string model, Exception error)
    {
        if (logger is not null)
        {
            Failed(logger, model, error);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "Model {Model}: a part failed.")]
    private static partial void Failed(ILogger logger, string model, Exception error);

    [LoggerMessage(2, LogLevel.Information, "Worker {Instance} runs as process {Process} at {Endpoint}.")]
    public static partial void WorkerStarted(ILogger logger, string instance, int process, Uri endpoint);

    [LoggerMessage(3, LogLevel.Warning, "Worker {Instance}, process {Process}, ended by itself with exit code {ExitCode}. It wrote last: {LastLine}")]
    public static partial void WorkerEnded(ILogger logger, string instance, int process, int exitCode, string lastLine);

    [LoggerMessage(4, LogLevel.Warning, "Instance {Instance} at {Endpoint} is given up: {Why}")]
    public static partial void InstanceGivenUp(ILogger logger, string instance, Uri endpoint, string why);

    [LoggerMessage(5, LogLevel.Debug, "{Instance}: {Line}")]
    public static partial void WorkerSaid(ILogger logger, string instance, string line);

    [LoggerMessage(6, LogLevel.Warning, "There is no setpriv on this machine: worker processes outlive this host if it is killed.")]
    public static partial void NoParentDeathSignal(ILogger logger);

    [LoggerMessage(7, LogLevel.Information, "Model {Model}, version {Version}, is loaded and serves.")]
    public static partial void ModelLoaded(ILogger logger, string model, string version);

    [LoggerMessage(8, LogLevel.Information, "Model {Model}, version {Version}, is unloaded.")]
    public static partial void ModelUnloaded(ILogger logger, string model, string version);

    [LoggerMessage(9, LogLevel.Error, "A request for model {Model} failed.")]
    public static partial void RequestFailed(ILogger logger, string model, Exception error);
}
