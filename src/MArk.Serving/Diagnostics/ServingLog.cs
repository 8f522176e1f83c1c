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

    [LoggerMessage(EventId = 4, Level = LogLevel.Warning, Message = "Model '{Model}' holds {Held} of {Cores} cores, which is too few for it (instances: {Instances}, threads of each: {Threads}). It serves, but shares cores, and batches that run at the same time take longer. Set what each model takes by WithConcurrency, with 0 threads for one that computes elsewhere.")]
    public static partial void SharesCores(ILogger logger, string model, int held, int cores, int instances, int threads);

    [LoggerMessage(EventId = 5, Level = LogLevel.Information, Message = "The plan of model '{Model}' is another: {Planned}. Actions: {Actions}. Bound by: {Bounds}. {Explanation}")]
    public static partial void PlanChanged(ILogger logger, string model, string planned, string actions, string bounds, PlanExplanation explanation);

    [LoggerMessage(EventId = 6, Level = LogLevel.Warning, Message = "The settings of section {Section} are those of no model that was added; models: {Models}. They are heeded only if one of this name is started later.")]
    public static partial void NoSuchModel(ILogger logger, string section, string models);

    [LoggerMessage(EventId = 7, Level = LogLevel.Warning, Message = "The settings of section {Section} are of no part that model {Model} uses, and are not heeded.")]
    public static partial void NoSuchPart(ILogger logger, string section, string model);

    [LoggerMessage(EventId = 8, Level = LogLevel.Warning, Message = "Model '{Model}' stops without having finished what it accepted: {Waiting} requests waited and {Begun} had begun when the time was over (DrainTimeout is {DrainTimeout}; the host may leave less). Their callers are told that it drains.")]
    public static partial void Unfinished(ILogger logger, string model, int waiting, int begun, TimeSpan drainTimeout);
}
