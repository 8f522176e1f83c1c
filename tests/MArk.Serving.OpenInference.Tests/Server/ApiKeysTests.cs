using MArk.Serving.OpenInference.Server;
using Microsoft.Extensions.Options;
using Xunit;

namespace MArk.Serving.OpenInference.Tests.Server;

public sealed class ApiKeysTests
{
    [Fact]
    public void AnEmptyKeyIsRefusedByTheNameOfItsOption()
    {
        var ofCalls = new OpenInferenceServerOptions { ApiKeys = { " " } };
        var ofRepository = new OpenInferenceServerOptions { RepositoryKeys = { "" } };

        Assert.Contains("OpenInferenceServerOptions.ApiKeys", Assert.Throws<ServingException>(() => new ApiKeys(Options.Create(ofCalls))).Message);
        Assert.Contains("OpenInferenceServerOptions.RepositoryKeys", Assert.Throws<ServingException>(() => new ApiKeys(Options.Create(ofRepository))).Message);
    }

    [Theory]
    // Keys of both kinds: who may change what is served may ask too, and not the other way round.
    [InlineData("call", "repository", "call", false, true)]
    [InlineData("call", "repository", "repository", false, true)]
    [InlineData("call", "repository", "repository", true, true)]
    [InlineData("call", "repository", "call", true, false)]
    // One kind only.
    [InlineData("call", null, "call", true, true)]
    [InlineData("call", null, null, true, false)]
    [InlineData(null, "repository", null, false, true)]
    [InlineData(null, "repository", null, true, false)]
    [InlineData(null, null, null, true, true)]
    public void EachKindOfKeyOpensWhatItIsFor(string? key, string? repositoryKey, string? brought, bool isOfRepository, bool isAccepted)
    {
        var options = new OpenInferenceServerOptions();
        if (key is not null)
        {
            options.ApiKeys.Add(key);
        }
        if (repositoryKey is not null)
        {
            options.RepositoryKeys.Add(repositoryKey);
        }
        var keys = new ApiKeys(Options.Create(options));

        var refusal = Record.Exception(() => keys.Check(brought is null ? null : $"Bearer {brought}", isOfRepository));

        if (isAccepted)
        {
            Assert.Null(refusal);
        }
        else
        {
            Assert.IsType<ApiKeyException>(refusal);
        }
    }
}
