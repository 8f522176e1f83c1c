using Microsoft.Extensions.Logging;

namespace MArk.Serving.Configuration;

internal static partial class ConfigurationLog
{
    [LoggerMessage(EventId = 6, Level = LogLevel.Warning, Message = "The settings of section {Section} are those of no model that was added; models: {Models}. They are heeded only if one of this name is started later.")]
    public static partial void NoSuchModel(ILogger logger, string section, string models);

    [LoggerMessage(EventId = 7, Level = LogLevel.Warning, Message = "The settings of section {Section} are of no part that model {Model} uses, and are not heeded.")]
    public static partial void NoSuchPart(ILogger logger, string section, string model);
}
