using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws;

internal static partial class AwsLog
{
    [LoggerMessage(1, LogLevel.Warning, "Spot prices cannot be looked up; those of the bundled list hold, an estimate of {Date}.")]
    public static partial void NoSpotPrices(ILogger logger, string date, Exception error);

    [LoggerMessage(2, LogLevel.Warning, "Fleet {Fleet}: EC2 cannot be asked what became of its machines; it is asked again in {Delay}.")]
    public static partial void PollFailed(ILogger logger, string fleet, TimeSpan delay, Exception error);

    [LoggerMessage(3, LogLevel.Information, "Machine {Instance} ({Type}, {Market}) serves at {Endpoint}, {Seconds:0.0} s after it was asked for.")]
    public static partial void Serves(ILogger logger, string instance, string type, string market, Uri endpoint, double seconds);

    [LoggerMessage(4, LogLevel.Warning, "Machine {Instance} will be taken away at {At}: {Why}")]
    public static partial void Interrupted(ILogger logger, string instance, DateTimeOffset? at, string why);

    [LoggerMessage(5, LogLevel.Warning, "Machine {Instance} at {Endpoint} does not serve any more: {Why}")]
    public static partial void GivenUp(ILogger logger, string instance, Uri endpoint, string why);

    [LoggerMessage(6, LogLevel.Warning, "Machine {Instance} cannot be ended yet, and it costs on; it is tried again in {Delay}.")]
    public static partial void NotEnded(ILogger logger, string instance, TimeSpan delay, Exception error);

    [LoggerMessage(7, LogLevel.Warning, "The bundled prices are of {ListRegion}, and the region is {Region}: set PricePerHour of the offerings, or Fleet:PriceFile.")]
    public static partial void OtherRegion(ILogger logger, string listRegion, string region);

    [LoggerMessage(8, LogLevel.Warning, "Instance metadata cannot be read; no notice of an interruption is had while that is so.")]
    public static partial void NoMetadata(ILogger logger, Exception error);

    [LoggerMessage(9, LogLevel.Warning, "This machine will be taken away at {At}: it drains.")]
    public static partial void NoticeHad(ILogger logger, DateTimeOffset at);

    [LoggerMessage(10, LogLevel.Warning, "Where the worker of machine {Instance} answers cannot be told by what UseEndpoint was given; it is asked again.")]
    public static partial void NoEndpoint(ILogger logger, string instance, Exception error);

    [LoggerMessage(11, LogLevel.Warning, "Fleet {Fleet}: EC2 cannot be asked whether spot machines will be taken away; it is asked again in {Delay}.")]
    public static partial void NoNotices(ILogger logger, string fleet, TimeSpan delay, Exception error);
}
