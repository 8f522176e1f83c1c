using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws;

internal static partial class AwsLog
{
    [LoggerMessage(1, LogLevel.Warning, "Model {Model}: a part failed.")]
    public static partial void PartFailed(ILogger logger, string model, Exception error);
}
