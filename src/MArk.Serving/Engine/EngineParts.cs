using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using MArk.Serving.Configuration;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>What a model's engine is put together from.</summary>
internal sealed record EngineParts<TIn, TOut>
{
    /// <summary>The name of the fixed number of instances in this process, where there is no provider.</summary>
    public const string FixedOffering = "in-process";

    public required string ModelName { get; init; }

    public required ModelOptions Options { get; init; }

    public required IBatchRunnerFactory<TIn, TOut> RunnerFactory { get; init; }

    /// <summary>What the host says an input weighs, and how many bytes it holds, instead of the runner.</summary>
    public Func<TIn, int>? Weigh { get; init; }

    public Func<TIn, long>? Measure { get; init; }

    public required Func<BatchPolicySettings, IBatchPolicy> CreatePolicy { get; init; }

    public ISpilloverTarget<TIn, TOut>? Spillover { get; init; }

    /// <summary>Whether it ends with the model, and is nobody else's.</summary>
    public bool DisposesSpillover { get; init; }

    /// <summary>The instances in this process where there is no provider, and their cores.</summary>
    public required CoreLease Cores { get; init; }

    /// <summary>Where instances come from; nowhere for a fixed number in this process.</summary>
    public IInstanceProvider? Provider { get; init; }

    public required Func<IWorkloadPredictor> CreatePredictor { get; init; }

    public required Func<IProvisioningPlanner> CreatePlanner { get; init; }

    /// <summary>Where the counted arrivals are kept across restarts; nowhere if there is none.</summary>
    public IArrivalHistoryStore? HistoryStore { get; init; }

    /// <summary>Says which of several hosts keeps the fleet; nothing where this is the only one.</summary>
    public IFleetLease? Lease { get; init; }

    /// <summary>What is known of instances beforehand, by offering: they are not measured.</summary>
    public IReadOnlyDictionary<string, LatencyProfile> Profiles { get; init; } = new Dictionary<string, LatencyProfile>();

    /// <summary>The host's own input to warm up with.</summary>
    public (bool Given, TIn? Input) Sample { get; init; }

    /// <summary>Seeds the jitter of retries.</summary>
    public int Seed { get; init; }

    public required TimeProvider Time { get; init; }

    public required Meter Meter { get; init; }

    public required Action<ServingException> Report { get; init; }

    /// <summary>Tells how many of the accepted requests still waited, and how many had begun, when the time to finish them was over.</summary>
    public required Action<int, int> TellUnfinished { get; init; }

    /// <summary>Tells of a plan that is another than before.</summary>
    public Action<PlanExplanation> Explain { get; init; } = static _ => { };

    public string OfferingName(int offering) => Provider?.Offerings[offering].Name ?? FixedOffering;

    public RequestTraits Traits(IBatchRunnerFactory<TIn, TOut> factory, TIn input)
    {
        var traits = factory.Admit(input);
        return Weigh is null && Measure is null
            ? traits
            : traits with { Weight = Weigh?.Invoke(input) ?? traits.Weight, Bytes = Measure?.Invoke(input) ?? traits.Bytes };
    }

    public bool TryCreateSample(IBatchRunnerFactory<TIn, TOut> factory, [MaybeNullWhen(false)] out TIn sample)
    {
        sample = Sample.Input;
        return Sample.Given || factory.TryCreateSample(out sample);
    }
}

/// <summary>What is left to do once the scheduler's lock is released.</summary>
internal readonly record struct Effect<TIn, TOut>(
    SchedulerCommandKind Kind, InferenceOperation<TIn, TOut>? Operation, BatchWork<TIn, TOut>? Work, InstanceWorker<TIn, TOut>? Worker)
{
    public int Slot { get; init; }

    public ServingException? Error { get; init; }

    /// <summary>Whether the caller need not go on at once.</summary>
    public bool MayWait { get; init; }
}

/// <summary>A model that a host starts and stops.</summary>
internal interface IModelRuntime
{
    string ModelName { get; }

    Task StartAsync(CancellationToken cancellationToken);

    Task StopAsync(CancellationToken cancellationToken);
}
