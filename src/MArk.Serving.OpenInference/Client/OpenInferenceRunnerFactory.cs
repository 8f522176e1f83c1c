using System.Diagnostics.CodeAnalysis;
using MArk.Serving.OpenInference.Client;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference;

/// <summary>Runs a model on instances that speak the Open Inference Protocol: Triton, KServe, OpenVINO Model Server, MLServer, or this package's own endpoints.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public sealed class OpenInferenceRunnerFactory<TIn, TOut> : IBatchRunnerFactory<TIn, TOut>
{
    private static readonly TimeSpan ReadyPoll = TimeSpan.FromMilliseconds(50);

    private readonly OpenInferenceOptions _options;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly TimeProvider _time;
    private readonly RemoteRunners<TIn, TOut> _runners;
    private readonly Lock _gate = new();
    private volatile Bound? _bound;

    /// <summary>A model on other machines.</summary>
    /// <param name="options">How it is reached.</param>
    /// <param name="codec">Maps requests to the model's tensors and back, as it would in process; belongs to this model and version.</param>
    /// <param name="time">The clock; <see langword="null"/>: the machine's.</param>
    /// <param name="logger">Is told of what fails beside the requests; <see langword="null"/>: nobody is.</param>
    public OpenInferenceRunnerFactory(OpenInferenceOptions options, ITensorCodec<TIn, TOut> codec, TimeProvider? time = null, ILogger? logger = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(codec);
        (_options, _codec, _time) = (options, codec, time ?? TimeProvider.System);
        _runners = new(error => OpenInferenceLog.PartFailed(logger, options.Model, error));
    }

    /// <inheritdoc/>
    public ModelSignature? Signature => _bound?.Signature;

    /// <inheritdoc/>
    /// <exception cref="ModelLoadException">An option is outside its range; names it.</exception>
    /// <exception cref="ServingException">The codec does not fit the signature that the options give, or is bound to another one.</exception>
    public ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        _options.Check();
        if (_options.Signature is { } signature)
        {
            Bind(signature);
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    /// <exception cref="InferenceRejectedException">No server has said yet what the model's tensors are, and the options do not either.</exception>
    public RequestTraits Admit(TIn input)
    {
        var bound = _bound ?? throw new InferenceRejectedException(_options.Model, RejectionReason.NoCapacity);
        _codec.Validate(input);
        return bound.TraitsOf(input);
    }

    /// <inheritdoc/>
    public void AdmitDestination(TIn input, TOut? destination) => _codec.ValidateDestination(input, destination);

    /// <inheritdoc/>
    /// <exception cref="ModelLoadException">The server does not have the model, or has it with other tensors.</exception>
    /// <exception cref="InstanceFailedException">The server cannot be reached, or does not have the model ready in time.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "The runner owns the server, and disposes of it; where there is none it is disposed of here.")]
    public async ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(instance);
        _options.Check();
        var endpoint = (_options.EndpointOf is { } of ? of(instance) : instance.Endpoint)
            ?? throw new ModelLoadException(_options.Model, $"instance '{instance.Id}' has no address to connect to; accepted: instances of a provider that gives one (UseEndpoints, UseProcesses), or EndpointOf.");
        var server = RemoteServers.Open(endpoint, _options);
        LoadedVersion? loaded = null;
        try
        {
            using var late = new CancellationTokenSource(_options.ReadyTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
            try
            {
                if (_options.Artifact is { } artifact)
                {
                    loaded = LoadedVersion.Hold(endpoint, _options.Model, artifact.Version);
                    await server.LoadAsync(artifact, either.Token).ConfigureAwait(false);
                }
                await UntilReadyAsync(server, either.Token).ConfigureAwait(false);
                var own = await server.ReadSignatureAsync(either.Token).ConfigureAwait(false);
                // The largest batch is the server's own affair.
                var signature = Bind(own).Signature with { MaxBatchSize = own.MaxBatchSize };
                return new RemoteBatchRunner<TIn, TOut>(instance.Id, server, signature, _codec, _options, loaded, _time, _runners);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new InstanceFailedException($"Server '{instance.Id}' at {endpoint.Authority} did not have model '{_options.Model}' ready within ReadyTimeout, {_options.ReadyTimeout}.", e);
            }
        }
        catch (Exception e)
        {
            if (loaded is not null)
            {
                await loaded.ReleaseAsync(server, _options, _time, _runners.Report).ConfigureAwait(false);
            }
            server.Dispose();
            throw e switch
            {
                RemoteServerException { Kind: RefusalKind.Server } => new InstanceFailedException($"Server '{instance.Id}' at {endpoint.Authority}: {e.Message}", e),
                RemoteServerException => new ModelLoadException(_options.Model, $"server '{instance.Id}' at {endpoint.Authority} does not take it: {e.Message}", e),
                WireFormatException => new ModelLoadException(_options.Model, $"server '{instance.Id}' at {endpoint.Authority} speaks another protocol: {e.Message}", e),
                HttpRequestException or IOException => new InstanceFailedException($"Server '{instance.Id}' at {endpoint.Authority}: {e.Message}", e),
                _ => e,
            };
        }
    }

    /// <inheritdoc/>
    public bool TryCreateSample([MaybeNullWhen(false)] out TIn sample)
    {
        sample = default;
        return _bound is not null && _codec.TryCreateSample(out sample);
    }

    private async ValueTask UntilReadyAsync(IRemoteServer server, CancellationToken cancellationToken)
    {
        while (!await server.IsReadyAsync(cancellationToken).ConfigureAwait(false))
        {
            await Task.Delay(ReadyPoll, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes note of the model's tensors; those of every server must be the same.</summary>
    private Bound Bind(ModelSignature signature)
    {
        lock (_gate)
        {
            if (_bound is { } bound)
            {
                return bound.IsSame(signature)
                    ? bound
                    : throw new ModelLoadException(_options.Model, $"a server has it with inputs {TensorMatch.List(signature.Inputs)} and outputs {TensorMatch.List(signature.Outputs)}; "
                        + $"accepted: inputs {TensorMatch.List(bound.Signature.Inputs)} and outputs {TensorMatch.List(bound.Signature.Outputs)}, as elsewhere.");
            }
            _codec.Bind(signature);
            return _bound = new Bound(signature, _codec);
        }
    }

    /// <summary>What follows from the model's tensors.</summary>
    private sealed class Bound(ModelSignature signature, ITensorCodec<TIn, TOut> codec)
    {
        private readonly ItemShapes<TIn, TOut> _shapes = new(signature, codec);

        public ModelSignature Signature => _shapes.Signature;

        public bool IsSame(ModelSignature other) => IsSame(Signature.Inputs, other.Inputs) && IsSame(Signature.Outputs, other.Outputs);

        public RequestTraits TraitsOf(TIn input)
        {
            var (key, numbers, texts) = _shapes.Of(input);
            return new RequestTraits(key, 1, numbers + texts);
        }

        private static bool IsSame(IReadOnlyList<TensorSpec> some, IReadOnlyList<TensorSpec> others) => some.Count == others.Count
            && some.All(s => others.Any(o => o.Name == s.Name && o.ElementType == s.ElementType && o.ItemShape.SequenceEqual(s.ItemShape)));
    }
}
