using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Runs an ONNX model: one ONNX Runtime session an instance.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
/// <param name="options">The model and what computes it.</param>
/// <param name="codec">Maps requests to the model's tensors and back; belongs to this model and version.</param>
public sealed class OnnxBatchRunnerFactory<TIn, TOut>(OnnxRunnerOptions options, ITensorCodec<TIn, TOut> codec) : IBatchRunnerFactory<TIn, TOut>
{
    private ModelPlan? _plan;
    private RequestMeter<TIn, TOut>? _meter;

    /// <summary>What requests bring and get; known once the model was opened. Masks, which the runner fills, are not among it.</summary>
    /// <exception cref="InvalidOperationException">It was not opened yet.</exception>
    public ModelSignature Signature => Plan.Requests;

    internal OnnxRunnerOptions Options => options;

    internal ITensorCodec<TIn, TOut> Codec => codec;

    ModelSignature? IBatchRunnerFactory<TIn, TOut>.Signature => _plan?.Requests;

    private ModelPlan Plan => _plan ?? throw NotOpened();

    /// <inheritdoc/>
    /// <exception cref="ModelLoadException">The model cannot be loaded, or an option does not fit it; names the file, what is wrong and what is accepted.</exception>
    /// <exception cref="ServingException">The codec does not fit the model, or is bound to another one.</exception>
    public ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        if (_plan is null)
        {
            options.Check();
            using var session = OnnxModel.Open(options, threads: 1);
            var plan = ModelPlanner.Plan(OnnxModel.ReadDeclaration(session, options.Path), options);
            codec.Bind(plan.Requests);
            _meter = new RequestMeter<TIn, TOut>(plan, codec);
            _plan = plan;
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The shape key tells apart shapes as they run: padded, where they are padded. The bytes are those of the elements as they wait,
    /// unpadded; a string counts 24 and 2 for each character, or 64 where the codec is none of this package's.
    /// </remarks>
    public RequestTraits Admit(TIn input)
    {
        var meter = _meter ?? throw NotOpened();
        codec.Validate(input);
        return meter.Measure(input);
    }

    /// <inheritdoc/>
    public void AdmitDestination(TIn input, TOut? destination) => codec.ValidateDestination(input, destination);

    /// <inheritdoc/>
    public async ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(instance);
        await InitializeAsync(cancellationToken).ConfigureAwait(false);
        return new OnnxBatchRunner<TIn, TOut>(
            OnnxModel.Open(options, options.ThreadsOf(instance)), Plan, codec, options.Slots, isOnDevice: options.ExecutionProvider != OnnxExecutionProvider.Cpu);
    }

    /// <inheritdoc/>
    public bool TryCreateSample([MaybeNullWhen(false)] out TIn sample) => codec.TryCreateSample(out sample);

    /// <summary>Another file, run as this one is.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="own">A codec of its own.</param>
    internal OnnxBatchRunnerFactory<TIn, TOut> At(string path, ITensorCodec<TIn, TOut> own) => new(options with { Path = path }, own);

    private InvalidOperationException NotOpened() => new($"Model file '{options.Path}' was not opened yet: call InitializeAsync first.");
}
