using System.Collections.Immutable;
using MArk.Serving.Hosting;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference.Delivery;

/// <summary>The models that are loaded while the server runs. Versions of a model stand beside each other, each with an engine of its own, until they are unloaded.</summary>
internal sealed class ModelRepository(IOptions<ModelRepositoryOptions> options, IServiceProvider services, ILogger<ModelRepository> logger) : IAsyncDisposable
{
    public const string Ready = "READY";
    public const string Unavailable = "UNAVAILABLE";
    private const string Loading = "LOADING";
    private const int MaxNameLength = 128;
    private const int MaxFailures = 64;

    private readonly ArtifactStore _store = new(options.Value);
    private readonly SemaphoreSlim _changing = new(1);
    private volatile ImmutableList<Entry> _entries = [];        // oldest first; changed by whoever changes the models
    private volatile ImmutableList<RepositoryModelDocument> _notServing = [];
    private HashSet<string> _reserved = [];

    /// <summary>Those that are loaded.</summary>
    public IEnumerable<EndpointModel> Models => _entries.Select(entry => entry.Model);

    /// <summary>Those that are being loaded, and those that could not be, with the reasons.</summary>
    public IEnumerable<RepositoryModelDocument> NotServing => _notServing;

    /// <summary>Names of the host's own models, which cannot be taken.</summary>
    public void Reserve(IEnumerable<string> names) => _reserved = [.. names];

    /// <summary>A model of a version, or the one that was loaded last.</summary>
    public EndpointModel? Find(string name, string? version) => _entries.FindLast(entry => entry.Model.Name == name && (version is null || entry.Model.Version == version))?.Model;

    /// <summary>Fetches, loads and warms a version up; it serves when this returns. One that serves already is left as it is.</summary>
    /// <exception cref="RepositoryException">The name or version is not accepted.</exception>
    /// <exception cref="ModelLoadException">The file cannot be had, has another digest, or is no model.</exception>
    public async Task LoadAsync(string name, ModelArtifact artifact, CancellationToken cancellationToken)
    {
        Check(name, artifact);
        await _changing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_entries.Find(entry => entry.Model.Name == name && entry.Model.Version == artifact.Version) is { } loaded)
            {
                RequireSame(loaded, artifact);
                return;
            }
            if (_entries.Count >= options.Value.MaxVersions)
            {
                throw new RepositoryException($"{_entries.Count} versions are loaded, which is the most; unload one first.");
            }
            Say(name, artifact.Version, Loading, "");
            try
            {
                _entries = _entries.Add(await OpenAsync(name, artifact, cancellationToken).ConfigureAwait(false));
                Say(name, artifact.Version, null, "");
            }
            catch (Exception e)
            {
                Say(name, artifact.Version, Unavailable, e.Message);
                throw;
            }
            OpenInferenceLog.ModelLoaded(logger, name, artifact.Version);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Lets go of a version, or of all; what they had accepted is finished first. What is not loaded is let go of already.</summary>
    public async Task UnloadAsync(string name, string? version)
    {
        ImmutableList<Entry> gone;
        await _changing.WaitAsync().ConfigureAwait(false);
        try
        {
            gone = _entries.FindAll(entry => entry.Model.Name == name && (version is null || entry.Model.Version == version));
            _entries = _entries.RemoveRange(gone);
        }
        finally
        {
            _changing.Release();
        }
        foreach (var entry in gone)
        {
            await entry.Host.DisposeAsync().ConfigureAwait(false);
            OpenInferenceLog.ModelUnloaded(logger, name, entry.Model.Version);
        }
    }

    /// <summary>Finishes what was accepted, and unloads everything.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        var entries = _entries;
        await Task.WhenAll(entries.Select(entry => entry.Host.StopAsync(cancellationToken))).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var entry in _entries)
        {
            await entry.Host.DisposeAsync().ConfigureAwait(false);
        }
        _entries = [];
        _store.Dispose();
        _changing.Dispose();
    }

    private void Check(string name, ModelArtifact artifact)
    {
        artifact.Check();
        if (name.Length is 0 or > MaxNameLength || name.Any(char.IsControl))
        {
            throw new RepositoryException($"The model's name is '{DataTypes.Shortened(name)}'; accepted: 1 to {MaxNameLength} characters, none of them a control character.");
        }
        if (_reserved.Contains(name))
        {
            throw new RepositoryException($"Model '{name}' is the host's own; accepted: another name.");
        }
    }

    private static void RequireSame(Entry loaded, ModelArtifact artifact)
    {
        if (!string.Equals(loaded.Sha256, artifact.Sha256, StringComparison.OrdinalIgnoreCase))
        {
            throw new RepositoryException($"Version '{artifact.Version}' of model '{loaded.Model.Name}' is loaded, from a file with the SHA-256 {loaded.Sha256}; accepted: the same, or another version.");
        }
    }

    private async Task<Entry> OpenAsync(string name, ModelArtifact artifact, CancellationToken cancellationToken)
    {
        var path = await _store.GetAsync(artifact, cancellationToken).ConfigureAwait(false);
        var host = await ModelHost.StartAsync<NamedTensors, NamedTensors>(services, name, model => options.Value.Serve!(model, path), cancellationToken).ConfigureAwait(false);
        return new Entry(new EndpointModel<NamedTensors, NamedTensors>(host.Model, static () => new NamedTensorsEndpointCodec(), artifact.Version), host, artifact.Sha256);
    }

    /// <summary>Notes how a version that does not serve is; nothing, once it does.</summary>
    private void Say(string name, string version, string? state, string reason)
    {
        var rest = _notServing.RemoveAll(m => m.Name == name && m.Version == version);
        rest = state is null ? rest : rest.Add(new RepositoryModelDocument { Name = name, Version = version, State = state, Reason = DataTypes.Shortened(reason, 512) });
        _notServing = rest.Count > MaxFailures ? rest.RemoveAt(0) : rest;
    }

    private sealed record Entry(EndpointModel Model, ModelHost<NamedTensors, NamedTensors> Host, string Sha256);
}
