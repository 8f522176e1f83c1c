using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>
/// A version of a model that this process has had loaded on a server. It is unloaded when the last of its users here is gone: a reload of the same version has two for a while.
/// </summary>
internal sealed class LoadedVersion
{
    private static readonly TimeSpan UnloadTimeout = TimeSpan.FromSeconds(2);
    private static readonly Lock Gate = new();
    private static readonly Dictionary<(Uri Server, string Model, string Version), int> Users = [];

    private readonly (Uri, string, string) _key;

    private LoadedVersion((Uri, string, string) key) => _key = key;

    public static LoadedVersion Hold(Uri server, string model, string version)
    {
        var key = (server, model, version);
        lock (Gate)
        {
            Users[key] = Users.GetValueOrDefault(key) + 1;
        }
        return new LoadedVersion(key);
    }

    /// <summary>Lets go of it; the last to do so has it unloaded, as far as the server can be reached and the options want it.</summary>
    public async ValueTask ReleaseAsync(IRemoteServer server, OpenInferenceOptions options, TimeProvider time, Action<ServingException> report)
    {
        if (!IsLast() || !options.UnloadsVersions)
        {
            return;
        }
        using var giveUp = new CancellationTokenSource(UnloadTimeout, time);
        try
        {
            await server.UnloadAsync(options.Artifact!, giveUp.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (RemoteServers.IsFailure(e))
        {
            // The server is gone, or does not answer: what it has loaded goes with it.
            report(new ServingException($"Version {options.Artifact!.Version} of model '{options.Model}' was not unloaded: {e.Message}", e));
        }
    }

    private bool IsLast()
    {
        lock (Gate)
        {
            if (--Users[_key] > 0)
            {
                return false;
            }
            Users.Remove(_key);
            return true;
        }
    }
}
