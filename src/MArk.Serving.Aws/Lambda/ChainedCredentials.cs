using Amazon.Runtime;
using Amazon.Runtime.Credentials;

namespace MArk.Serving.Aws.Lambda;

/// <summary>What the SDK's default chain finds, asked anew for each signature, so that credentials that are changed under a running host are followed. The chain keeps what it found.</summary>
internal sealed class ChainedCredentials : AWSCredentials
{
    public override ImmutableCredentials GetCredentials() => DefaultAWSCredentialsIdentityResolver.GetCredentials(null).GetCredentials();

    public override async Task<ImmutableCredentials> GetCredentialsAsync()
    {
        var found = await DefaultAWSCredentialsIdentityResolver.GetCredentialsAsync(null).ConfigureAwait(false);
        return await found.GetCredentialsAsync().ConfigureAwait(false);
    }
}
