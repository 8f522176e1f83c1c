using System.Net;
using System.Security.Cryptography;
using System.Text;
using MArk.Serving.OpenInference.Delivery;

namespace MArk.Serving.OpenInference.Tests.Delivery;

public sealed class ArtifactStoreTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("mark-artifacts").FullName;

    private string Allowed => Directory.CreateDirectory(Path.Combine(_root, "allowed")).FullName + "/";

    private static string DigestOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private ModelRepositoryOptions Options(params string[] sources)
    {
        var options = new ModelRepositoryOptions { CacheDirectory = Path.Combine(_root, "cache"), Serve = (_, _) => { } };
        foreach (var source in sources)
        {
            options.AllowedSources.Add(source);
        }
        return options;
    }

    private static ModelArtifact Artifact(string uri, string text) => new() { Uri = new Uri(uri), Sha256 = DigestOf(text), Version = "1" };

    [Fact]
    public async Task AFileIsFetchedOnceAndKeptByItsDigest()
    {
        var file = Path.Combine(Allowed, "m.onnx");
        await File.WriteAllTextAsync(file, "model");
        using var store = new ArtifactStore(Options(new Uri(Allowed).AbsoluteUri));
        var artifact = ModelArtifact.OfFile(file, "1");
        var path = await store.GetAsync(artifact, CancellationToken.None);
        Assert.Equal(DigestOf("model"), Path.GetFileName(path));
        File.Delete(file);
        Assert.Equal(path, await store.GetAsync(artifact with { Sha256 = artifact.Sha256.ToUpperInvariant() }, CancellationToken.None));
        // One that was damaged meanwhile is not believed.
        await File.WriteAllTextAsync(path, "damaged");
        await Assert.ThrowsAsync<ModelLoadException>(() => store.GetAsync(artifact, CancellationToken.None));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public async Task AnotherDigestIsRefusedAndNothingIsLeft()
    {
        var file = Path.Combine(Allowed, "m.onnx");
        await File.WriteAllTextAsync(file, "another");
        using var store = new ArtifactStore(Options(new Uri(Allowed).AbsoluteUri));
        var error = await Assert.ThrowsAsync<ModelLoadException>(() => store.GetAsync(Artifact(new Uri(file).AbsoluteUri, "model"), CancellationToken.None));
        Assert.Contains(DigestOf("another"), error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Path.Combine(_root, "cache")));
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://models.example/allowed/../secret")]
    [InlineData("https://models.example/allowed/%2e%2e/secret")]
    [InlineData("https://models.example/allowed/..%2fsecret")]
    [InlineData("https://models.example.evil/allowed/m")]
    [InlineData("https://user@models.example/allowed/m")]
    [InlineData("http://models.example/allowed/m")]
    [InlineData("https://models.example:444/allowed/m")]
    public async Task OnlyWhatIsAllowedIsFetched(string uri)
    {
        var handler = new Answers(_ => throw new InvalidOperationException("It was asked for."));
        using var store = new ArtifactStore(Options("https://models.example/allowed/"), handler);
        var error = await Assert.ThrowsAsync<ModelLoadException>(() => store.GetAsync(Artifact(uri, "model"), CancellationToken.None));
        Assert.Contains("it is not below any", error.Message, StringComparison.Ordinal);
        using var none = new ArtifactStore(Options());
        Assert.Contains("AllowedSources is empty", (await Assert.ThrowsAsync<ModelLoadException>(() => none.GetAsync(Artifact(uri, "model"), CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OverHttpRedirectionsErrorsAndTooMuchAreRefused()
    {
        var handler = new Answers(request => request.RequestUri!.AbsolutePath switch
        {
            "/allowed/good" => new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent("model") },
            "/allowed/moved" => new HttpResponseMessage(HttpStatusCode.Found) { Headers = { Location = new Uri("https://elsewhere.example/") } },
            "/allowed/large" => new HttpResponseMessage(HttpStatusCode.OK) { Content = new ByteArrayContent(new byte[2000]) },
            _ => new HttpResponseMessage(HttpStatusCode.NotFound),
        });
        var options = Options("https://models.example/allowed/");
        options.MaxFileBytes = 1000;
        using var store = new ArtifactStore(options, handler);
        Assert.Equal("model", await File.ReadAllTextAsync(await store.GetAsync(Artifact("https://models.example/allowed/good", "model"), CancellationToken.None)));
        foreach (var (path, says) in new[] { ("moved", "302"), ("large", "more than the 1000 bytes"), ("none", "404") })
        {
            var error = await Assert.ThrowsAsync<ModelLoadException>(() => store.GetAsync(Artifact($"https://models.example/allowed/{path}", path), CancellationToken.None));
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
        Assert.Single(Directory.GetFiles(Path.Combine(_root, "cache")));
    }

    [Theory]
    [InlineData("ftp://models.example/m", "00", "1", "no address")]
    [InlineData("https://models.example/m", "00", "1", "its digest is '00'")]
    [InlineData("https://models.example/m", null, "../1", "its version is '../1'")]
    [InlineData("https://models.example/m", null, "..", "its version is '..'")]
    [InlineData("https://models.example/m", null, "", "its version is ''")]
    public async Task WhatIsNoArtifactIsNamed(string uri, string? digest, string version, string says)
    {
        using var store = new ArtifactStore(Options("https://models.example/"));
        var artifact = new ModelArtifact { Uri = new Uri(uri), Sha256 = digest ?? DigestOf(""), Version = version };
        Assert.Contains(says, (await Assert.ThrowsAsync<ModelLoadException>(() => store.GetAsync(artifact, CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private sealed class Answers(Func<HttpRequestMessage, HttpResponseMessage> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => Task.FromResult(answer(request));
    }
}
