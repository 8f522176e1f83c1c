using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference.Server;

/// <summary>Tells callers that bring a key from others, in a time that does not depend on how much of a key is right.</summary>
internal sealed class ApiKeys
{
    private const string Scheme = "Bearer ";

    private readonly byte[][] _hashes;

    public ApiKeys(IOptions<OpenInferenceServerOptions> options)
    {
        if (options.Value.ApiKeys.Any(string.IsNullOrWhiteSpace))
        {
            throw new ServingException($"A key of {nameof(OpenInferenceServerOptions)}.{nameof(OpenInferenceServerOptions.ApiKeys)} is empty; accepted: keys that are not, or none.");
        }
        _hashes = [.. options.Value.ApiKeys.Select(key => SHA256.HashData(Encoding.UTF8.GetBytes(key)))];
    }

    /// <param name="authorization">The header of that name.</param>
    /// <exception cref="ApiKeyException">Keys are asked for, and it brings none that is known.</exception>
    public void Check(string? authorization)
    {
        if (_hashes.Length == 0)
        {
            return;
        }
        var isKnown = false;
        if (authorization is not null && authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            var hash = SHA256.HashData(Encoding.UTF8.GetBytes(authorization[Scheme.Length..].Trim()));
            foreach (var known in _hashes)
            {
                isKnown |= CryptographicOperations.FixedTimeEquals(hash, known);
            }
        }
        if (!isKnown)
        {
            throw new ApiKeyException();
        }
    }
}
