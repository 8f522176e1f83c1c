using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference.Server;

/// <summary>Tells callers that bring a key from others, in a time that does not depend on how much of a key is right.</summary>
internal sealed class ApiKeys
{
    private const string Scheme = "Bearer ";

    private readonly byte[][] _ofCalls;
    private readonly byte[][] _ofRepository;

    public ApiKeys(IOptions<OpenInferenceServerOptions> options)
    {
        var repositoryKeys = HashesOf(options.Value.RepositoryKeys, nameof(OpenInferenceServerOptions.RepositoryKeys));
        var keys = HashesOf(options.Value.ApiKeys, nameof(OpenInferenceServerOptions.ApiKeys));
        // Who may change what is served may ask for it too.
        _ofCalls = keys.Length > 0 ? [.. keys, .. repositoryKeys] : [];
        _ofRepository = repositoryKeys.Length > 0 ? repositoryKeys : _ofCalls;
    }

    /// <param name="authorization">The header of that name.</param>
    /// <param name="isOfRepository">Whether the call changes what is served.</param>
    /// <exception cref="ApiKeyException">Keys are asked for, and it brings none that is known.</exception>
    public void Check(string? authorization, bool isOfRepository)
    {
        var accepted = isOfRepository ? _ofRepository : _ofCalls;
        if (accepted.Length == 0)
        {
            return;
        }
        var isKnown = false;
        if (authorization is not null && authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            var hash = SHA256.HashData(Encoding.UTF8.GetBytes(authorization[Scheme.Length..].Trim()));
            foreach (var known in accepted)
            {
                isKnown |= CryptographicOperations.FixedTimeEquals(hash, known);
            }
        }
        if (!isKnown)
        {
            throw new ApiKeyException();
        }
    }

    private static byte[][] HashesOf(IEnumerable<string> keys, string option) => [.. keys.Select(key => string.IsNullOrWhiteSpace(key)
        ? throw new ServingException($"A key of {nameof(OpenInferenceServerOptions)}.{option} is empty; accepted: keys that are not, or none.")
        : SHA256.HashData(Encoding.UTF8.GetBytes(key)))];
}
