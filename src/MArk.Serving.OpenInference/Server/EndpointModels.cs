using MArk.Serving.Hosting;
using MArk.Serving.OpenInference.Delivery;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference.Server;

/// <summary>All models that clients see: those of the host, and those that were loaded while it runs.</summary>
internal sealed class EndpointModels
{
    /// <summary>The version of a model of the host's own.</summary>
    public const string OwnVersion = "1";

    private readonly EndpointModel[] _own;
    private readonly ModelRepository? _repository;

    public EndpointModels(IEnumerable<IServedModel> models, IOptions<OpenInferenceServerOptions> options, ModelRepository? repository = null)
    {
        var served = models.ToArray();
        foreach (var name in options.Value.Codecs.Keys.Concat(options.Value.Hidden))
        {
            if (!Array.Exists(served, m => m.Name == name))
            {
                throw new ServingException($"The Open Inference endpoints are told of a model '{name}', and there is none; there are: {string.Join(", ", served.Select(m => m.Name))}.");
            }
        }
        _own = [.. served.Where(m => !options.Value.Hidden.Contains(m.Name)).Select(m => m.Accept(new Opener(options.Value)))];
        _repository = repository;
        repository?.Reserve(served.Select(m => m.Name));
    }

    /// <summary>Those that are there, in no particular order.</summary>
    public IEnumerable<EndpointModel> All => _repository is null ? _own : _own.Concat(_repository.Models);

    /// <summary>Whether all that is to be served can be.</summary>
    public bool AreReady => Array.TrueForAll(_own, model => model.IsReady);

    /// <summary>A model.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="version">Its version; the newest, if none is named.</param>
    /// <exception cref="NoSuchModelException">There is none.</exception>
    public EndpointModel Find(string name, string? version)
    {
        var found = Array.Find(_own, m => m.Name == name && (version is null || m.Version == version)) ?? _repository?.Find(name, version);
        if (found is not null)
        {
            return found;
        }
        var versions = VersionsOf(name);
        throw new NoSuchModelException(versions.Length == 0
            ? $"There is no model '{DataTypes.Shortened(name)}'."
            : $"There is no version '{DataTypes.Shortened(version ?? "")}' of model '{name}'; there are: {string.Join(", ", versions)}.");
    }

    /// <summary>The versions of a model.</summary>
    public string[] VersionsOf(string name) => [.. All.Where(m => m.Name == name).Select(m => m.Version)];

    private sealed class Opener(OpenInferenceServerOptions options) : IServedModelVisitor<EndpointModel>
    {
        public EndpointModel Visit<TIn, TOut>(IServedModel<TIn, TOut> model) => new EndpointModel<TIn, TOut>(model, CodecsOf(model), OwnVersion);

        private Func<IEndpointCodec<TIn, TOut>> CodecsOf<TIn, TOut>(IServedModel<TIn, TOut> model)
        {
            object? create = options.Codecs.TryGetValue(model.Name, out var told) ? told
                : typeof(TIn) == typeof(NamedTensors) ? new Func<IEndpointCodec<NamedTensors, NamedTensors>>(static () => new NamedTensorsEndpointCodec())
                : typeof(TIn) == typeof(float[]) ? new Func<IEndpointCodec<float[], float[]>>(static () => new ArrayEndpointCodec<float, float>())
                : null;
            return create as Func<IEndpointCodec<TIn, TOut>>
                ?? throw new ServingException($"Model '{model.Name}' takes {typeof(TIn).Name} and answers {typeof(TOut).Name}, and nothing says how tensors become that: call Map, or Hide to leave it out, of {nameof(OpenInferenceServerOptions)}.");
        }
    }
}
