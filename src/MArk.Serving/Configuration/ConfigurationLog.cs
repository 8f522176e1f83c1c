using Microsoft.Extensions.Logging;

namespace MArk.Serving.Configuration;

internal static partial class ConfigurationLog
{
    [LoggerMessage(EventId = 6, Level = LogLevel.Warning, Message = "The settings of section {Section} are those of no model that was added; models: {Models}. They are heeded only if one of this name is started later.")]
    public static partial void NoSuchModel(ILogger logger, string section, string models);
}
