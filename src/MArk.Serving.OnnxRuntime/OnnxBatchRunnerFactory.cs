using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Runs an ONNX model: one ONNX Runtime session an instance.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
/// <param name="options">The model and what computes it.</param>
/// <param name="codec">Maps requests to the model's tensors and back.</param>
public sealed class OnnxBatchRunnerFactory<TIn, TOut>(OnnxRunnerOptions options, ITensorCodec<TIn, TOut> codec) : IBatchRunnerFactory<TIn, TOut>
{
    private ModelSignature? _signature;

    /// <summary>What the model takes and gives; known once it was opened.</summary>
    /// <exception cref="InvalidOperationException">It was not opened yet.</exception>
    public ModelSignature Signature => _signature ?? throw new InvalidOperationException($"Model file '{options.Path}' was not opened yet: call InitializeAsync first.");

    /// <inheritdoc/>
    public ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        if (_signature is null)
        {
            using var session = OnnxModel.Open(options, threads: 1);
            var signature = OnnxModel.ReadSignature(session, options.Path);
            codec.Bind(signature);
            _signature = signature;
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public RequestTraits Admit(TIn input)
    {
        codec.Validate(input);
        var inputs = Signature.Inputs;
        var key = 0UL;
        foreach (var spec in inputs)
        {
            if (!spec.IsFixed)
            {
                key = Hash(key, input, inputs.IndexOf(spec), spec);
            }
        }
        return new RequestTraits((long)key, Weight: 1);
    }

    /// <inheritdoc/>
    public async ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(instance);
        await InitializeAsync(cancellationToken).ConfigureAwait(false);
        var threads = options.IntraOpThreads > 0 ? options.IntraOpThreads : Math.Max(1, instance.Threads);
        return new OnnxBatchRunner<TIn, TOut>(OnnxModel.Open(options, threads), Signature, codec);
    }

    /// <inheritdoc/>
    public bool TryCreateSample([MaybeNullWhen(false)] out TIn sample) => codec.TryCreateSample(out sample);

    // FNV-1a over the dimensions; never 0, which stands for "all shapes are fixed".
    private ulong Hash(ulong key, TIn input, int index, TensorSpec spec)
    {
        Span<long> shape = stackalloc long[spec.ItemShape.Length];
        spec.ItemShape.CopyTo(shape);
        codec.GetItemShape(input, index, shape);
        key = key == 0 ? 14695981039346656037UL : key;
        foreach (var dimension in shape)
        {
            key = (key ^ (ulong)dimension) * 1099511628211UL;
        }
        return (key ^ (ulong)index) * 1099511628211UL | 1;
    }
}
