namespace MArk.Serving.OpenInference.Client;

/// <summary>
/// A version of a model that this process has had loaded on a server. It is unloaded when the last of its users is gone: a reload of the same version has two for a while.
/// </summary>
internal sealed class LoadedVersion
{
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

    /// <summary>Lets go of it.</summary>
    /// <returns>Whether nobody uses it any more.</returns>
    public bool Release()
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
