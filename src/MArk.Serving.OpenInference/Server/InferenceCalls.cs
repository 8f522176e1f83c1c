using System.Globalization;
using MArk.Serving.OpenInference.Delivery;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference.Server;

/// <summary>What clients can ask of the server, in whatever form they ask: its models, what they do, and inference.</summary>
internal sealed class InferenceCalls
{
    private readonly EndpointModels _models;
    private readonly ModelRepository? _repository;
    private readonly ApiKeys _keys;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public InferenceCalls(
        EndpointModels models, ApiKeys keys, IOptions<OpenInferenceServerOptions> options, ServerDrain drain, TimeProvider time, ILogger<InferenceCalls> logger, ModelRepository? repository = null)
    {
        (_models, _keys, _time, _logger, _repository) = (models, keys, time, logger, repository);
        Drain = drain;
        Options = options.Value;
        if (Options.Limits.Violation is { } violation)
        {
            throw new ServingException($"{nameof(OpenInferenceServerOptions)}.{nameof(OpenInferenceServerOptions.Limits)}.{violation}");
        }
    }

    public OpenInferenceServerOptions Options { get; }

    public ServerDrain Drain { get; }

    public WireLimits Limits => Options.Limits;

    public bool IsReady => !Drain.HasBegun && _models.AreReady;

    /// <exception cref="ApiKeyException">The caller brings no key that is known, where one is asked for.</exception>
    public void Authorize(string? authorization, bool isOfRepository = false) => _keys.Check(authorization, isOfRepository);

    public EndpointModel Find(string name, string? version) => _models.Find(name, version);

    public ServerMetadataDocument Server() => new()
    {
        Name = Options.ServerName,
        Version = typeof(InferenceCalls).Assembly.GetName().Version?.ToString(3),
        Extensions = _repository is null ? ["binary_tensor_data", "statistics"] : ["binary_tensor_data", "statistics", "model_repository"],
    };

    public ModelMetadataDocument Metadata(string name, string? version)
    {
        var model = _models.Find(name, version);
        return new ModelMetadataDocument
        {
            Name = model.Name,
            Versions = _models.VersionsOf(name),
            Platform = "mark_serving",
            Inputs = ModelMetadataDocument.Of(model.Signature.Inputs),
            Outputs = ModelMetadataDocument.Of(model.Signature.Outputs),
        };
    }

    /// <summary>Answers a request, and counts what became of it.</summary>
    public async ValueTask<InferMessage> InferAsync(EndpointModel model, InferMessage request, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        var hasSucceeded = false;
        try
        {
            var answer = await model.InferAsync(request, Limits, cancellationToken).ConfigureAwait(false);
            hasSucceeded = true;
            return answer;
        }
        finally
        {
            model.Statistics.Count(hasSucceeded, _time.GetElapsedTime(start), _time.GetUtcNow());
        }
    }

    public ModelStatisticsEntry[] Statistics(string? name, string? version)
    {
        var models = name is null ? _models.All : [.. version is null ? _models.All.Where(m => m.Name == name) : [_models.Find(name, version)]];
        var entries = models.Select(Of).ToArray();
        // Whoever asks for one model learns that there is none.
        return name is not null && entries.Length == 0 ? [Of(_models.Find(name, version))] : entries;

        static ModelStatisticsEntry Of(EndpointModel model)
        {
            var (report, own) = (model.Monitor.GetReport(), model.Statistics);
            return new ModelStatisticsEntry
            {
                Name = model.Name,
                Version = model.Version,
                LastInference = own.LastAt,
                InferenceCount = report.Succeeded,
                ExecutionCount = report.BatchesByReason.Values.Sum(),
                InferenceStats = new InferenceStatisticsDocument
                {
                    Success = new DurationDocument { Count = own.Succeeded, Ns = own.SucceededNs },
                    Fail = new DurationDocument { Count = own.Failed, Ns = own.FailedNs },
                },
            };
        }
    }

    public RepositoryModelDocument[] Index(bool onlyReady) =>
    [
        .. _models.All.Select(m => new RepositoryModelDocument { Name = m.Name, Version = m.Version, State = m.IsReady ? ModelRepository.Ready : ModelRepository.Unavailable, Reason = "" })
            .Concat(_repository?.NotServing ?? []).Where(m => !onlyReady || m.State == ModelRepository.Ready),
    ];

    public async Task LoadAsync(string name, RepositoryParameters? parameters, CancellationToken cancellationToken)
    {
        var repository = Repository(name);
        if (parameters is not { Uri: { } uri, Sha256: { } digest, Version: { } version })
        {
            throw new RepositoryException("A load names no artifact; accepted: parameters with uri, sha256 and version.");
        }
        if (!Uri.TryCreate(uri, UriKind.Absolute, out var address))
        {
            throw new RepositoryException($"parameters.uri is '{DataTypes.Shortened(uri)}'; accepted: an absolute address.");
        }
        await repository.LoadAsync(name, new ModelArtifact { Uri = address, Sha256 = digest, Version = version }, cancellationToken).ConfigureAwait(false);
    }

    public Task UnloadAsync(string name, string? version) => Repository(name).UnloadAsync(name, version);

    /// <summary>Writes of an error what the log should know; nothing of what a client is at fault for.</summary>
    public Refusal Refuse(string what, Exception error)
    {
        var refusal = Refusal.Of(error);
        if (refusal.IsFault)
        {
            OpenInferenceLog.RequestFailed(_logger, what, error);
        }
        return refusal;
    }

    private ModelRepository Repository(string name) => _repository
        ?? throw new RepositoryException(string.Create(CultureInfo.InvariantCulture, $"Model '{DataTypes.Shortened(name)}' cannot be loaded or unloaded: this server has no repository."));
}
