using MArk.Serving.Configuration;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>What a model's engine is put together from.</summary>
internal sealed record EngineParts<TIn, TOut>
{
    public required string ModelName { get; init; }

    public required ModelOptions Options { get; init; }

    public required IBatchRunnerFactory<TIn, TOut> RunnerFactory { get; init; }

    public required Func<BatchPolicySettings, IBatchPolicy> CreatePolicy { get; init; }

    public ISpilloverTarget<TIn, TOut>? Spillover { get; init; }

    /// <summary>How many batches run at a time where there is no fleet.</summary>
    public int FixedInstances { get; init; } = 1;

    public required TimeProvider Time { get; init; }

    public required Action<ServingException> Report { get; init; }
}

/// <summary>What is left to do once the scheduler's lock is released.</summary>
internal readonly record struct Effect<TIn, TOut>(
    SchedulerCommandKind Kind, InferenceOperation<TIn, TOut>? Operation, BatchWork<TIn, TOut>? Work, InstanceWorker<TIn, TOut>? Worker)
{
    public RejectionReason Reason { get; init; }

    public TimeSpan? RetryAfter { get; init; }

    public ServingException? Error { get; init; }
}

/// <summary>A model that a host starts and stops.</summary>
internal interface IModelRuntime
{
    string ModelName { get; }

    Task StartAsync(CancellationToken cancellationToken);

    Task StopAsync(CancellationToken cancellationToken);
}
