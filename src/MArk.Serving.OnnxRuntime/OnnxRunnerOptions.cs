using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>What computes a model.</summary>
public enum OnnxExecutionProvider
{
    /// <summary>The processor. The host references the package Microsoft.ML.OnnxRuntime.</summary>
    Cpu = 0,

    /// <summary>An NVIDIA GPU. The host references the package Microsoft.ML.OnnxRuntime.Gpu.</summary>
    Cuda,
}

/// <summary>How an ONNX model is run. What does not fit the model fails when it is opened, by a <see cref="ModelLoadException"/>.</summary>
public sealed record OnnxRunnerOptions
{
    private const int MaxIntraOpThreads = 1024;
    private const int MaxPipelineDepth = 64;

    /// <summary>The model's file.</summary>
    public required string Path { get; init; }

    /// <summary>What computes it. Default: the processor.</summary>
    public OnnxExecutionProvider ExecutionProvider { get; init; }

    /// <summary>Which GPU, counted from 0; only with <see cref="OnnxExecutionProvider.Cuda"/>.</summary>
    public int DeviceId { get; init; }

    /// <summary>
    /// The threads that compute one instance's batch, 1 to 1024; <see langword="null"/>, the default, takes what the instance's machine
    /// grants (at least 1). More than it grants takes cores that other instances were promised.
    /// </summary>
    public int? IntraOpThreads { get; init; }

    /// <summary>The lengths that are padded to buckets. Default: none, and only requests of equal shapes share a batch.</summary>
    public ImmutableArray<OnnxPadding> Padding { get; init; } = [];

    /// <summary>
    /// The open dimensions of inputs whose product is a request's weight, as it runs: padded, where they are padded. One for the tokens of
    /// a text, two for the pixels of an image. Default: none, and every request weighs 1.
    /// </summary>
    public ImmutableArray<OnnxDimension> WeightOf { get; init; } = [];

    /// <summary>
    /// How many batches of one instance may be under way, 1 to 64, each with memory of its own: one runs, while the next is gathered and the
    /// last one's answers are handed out. <see langword="null"/>, the default, is 1 on the processor, where gathering would take the
    /// running batch's core, and 2 on a GPU.
    /// </summary>
    public int? PipelineDepth { get; init; }

    internal int Slots => PipelineDepth ?? (ExecutionProvider == OnnxExecutionProvider.Cpu ? 1 : 2);

    /// <summary>The threads that are computed on whatever is granted; none of the processor's on a GPU. A bad number fails when the model is opened.</summary>
    internal int? OwnThreads => ExecutionProvider != OnnxExecutionProvider.Cpu ? 0 : IntraOpThreads is >= 1 and <= MaxIntraOpThreads ? IntraOpThreads : null;

    internal int ThreadsOf(InstanceDescriptor instance) => IntraOpThreads ?? Math.Max(1, instance.Threads);

    internal void Check()
    {
        if (!Enum.IsDefined(ExecutionProvider))
        {
            throw new ModelLoadException(Path, $"ExecutionProvider is {(int)ExecutionProvider}; accepted are {string.Join(", ", Enum.GetNames<OnnxExecutionProvider>())}.");
        }
        if (DeviceId != 0 && ExecutionProvider == OnnxExecutionProvider.Cpu)
        {
            throw new ModelLoadException(Path, $"DeviceId is {DeviceId}, and ExecutionProvider is {ExecutionProvider}; a device is accepted with {OnnxExecutionProvider.Cuda} alone.");
        }
        if (DeviceId < 0)
        {
            throw new ModelLoadException(Path, $"DeviceId is {DeviceId}; accepted are numbers from 0.");
        }
        if (IntraOpThreads is < 1 or > MaxIntraOpThreads)
        {
            throw new ModelLoadException(Path, $"IntraOpThreads is {IntraOpThreads}; accepted are 1 to {MaxIntraOpThreads}, or null for the threads that the instance is granted.");
        }
        if (PipelineDepth is < 1 or > MaxPipelineDepth)
        {
            throw new ModelLoadException(Path, $"PipelineDepth is {PipelineDepth}; accepted are 1 to {MaxPipelineDepth}.");
        }
    }
}
