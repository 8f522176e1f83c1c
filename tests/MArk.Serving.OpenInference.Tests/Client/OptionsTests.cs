using MArk.Serving.OpenInference.Instances;
using MArk.Serving.Tensors;
using Microsoft.Extensions.Logging.Abstractions;

namespace MArk.Serving.OpenInference.Tests.Client;

/// <summary>What is outside its range is named, with what is accepted.</summary>
public sealed class OptionsTests
{
    public static TheoryData<string, OpenInferenceOptions> Bad => new()
    {
        { "Model is ''", new() { Model = "" } },
        { "Model is '..'", new() { Model = ".." } },
        { "Form is 9", new() { Model = "m", Form = (OpenInferenceForm)9 } },
        { "MaxBatchSize is 0", new() { Model = "m", MaxBatchSize = 0 } },
        { "PipelineDepth is 65", new() { Model = "m", PipelineDepth = 65 } },
        { "CallTimeout is 00:00:00", new() { Model = "m", CallTimeout = TimeSpan.Zero } },
        { "LeastCallTimeout is 00:01:00", new() { Model = "m", LeastCallTimeout = TimeSpan.FromMinutes(1) } },
        { "ReadyTimeout is 00:00:00", new() { Model = "m", ReadyTimeout = TimeSpan.Zero } },
        { "HedgeAfter is 00:00:00", new() { Model = "m", HedgeAfter = TimeSpan.Zero } },
        { "HttpVersion is 3.0", new() { Model = "m", HttpVersion = new Version(3, 0) } },
        { "Signature is null", new() { Model = "m", Form = OpenInferenceForm.PredictV1 } },
        { "Limits.MaxRank is 0", new() { Model = "m", Limits = new WireLimits { MaxRank = 0 } } },
        { "Version is 2", new() { Model = "m", Version = "2", Artifact = new() { Uri = new Uri("https://m/"), Sha256 = new string('0', 64), Version = "1" } } },
        { "its digest is 'x'", new() { Model = "m", Artifact = new() { Uri = new Uri("https://m/"), Sha256 = "x", Version = "1" } } },
    };

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public async Task OfAModelElsewhere(string says, OpenInferenceOptions options)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () => await new OpenInferenceRunnerFactory<float[], float[]>(options, new SingleTensorCodec<float, float>()).InitializeAsync(CancellationToken.None));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains("accepted", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[4,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]}""", 4)]
    [InlineData("""{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]}""", int.MaxValue)]
    public void ABatchThatAServerFixesIsItsLargest(string json, int largest)
    {
        var metadata = System.Text.Json.JsonSerializer.Deserialize(json, MArk.Serving.OpenInference.Protocol.RestJson.Default.ModelMetadataDocument)!;
        Assert.Equal(largest, metadata.ToSignature().MaxBatchSize);
    }

    [Fact]
    public void OfInstances()
    {
        Says("Endpoints is empty", () => _ = new EndpointInstanceProvider(new EndpointsOptions { Endpoints = [] }, TimeProvider.System, NullLogger.Instance));
        Says("an address twice", () => _ = new EndpointInstanceProvider(new EndpointsOptions { Endpoints = [new Uri("http://a/"), new Uri("http://a/")] }, TimeProvider.System, NullLogger.Instance));
        Says("'ftp://a/'", () => _ = new EndpointInstanceProvider(new EndpointsOptions { Endpoints = [new Uri("ftp://a/")] }, TimeProvider.System, NullLogger.Instance));
        Says("Interval is 00:00:00", () => _ = new EndpointInstanceProvider(new EndpointsOptions { Endpoints = [new Uri("http://a/")], Health = new() { Interval = TimeSpan.Zero } }, TimeProvider.System, NullLogger.Instance));
        Says("at least one offering", () => _ = new ProcessInstanceProvider([], TimeProvider.System, NullLogger.Instance));
        Says("named 'process'", () => _ = new ProcessInstanceProvider([new() { FileName = "a" }, new() { FileName = "b" }], TimeProvider.System, NullLogger.Instance));
        Says("StartTimeout is 00:00:00", () => _ = new ProcessInstanceProvider([new() { FileName = "a", StartTimeout = TimeSpan.Zero }], TimeProvider.System, NullLogger.Instance));

        static void Says(string what, Action make) => Assert.Contains(what, Assert.ThrowsAny<ArgumentException>(make).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BeforeAServerHasSpokenRequestsAreRefusedAndAnInstanceWithoutAnAddressIsNamed()
    {
        var factory = new OpenInferenceRunnerFactory<float[], float[]>(new OpenInferenceOptions { Model = "m" }, new SingleTensorCodec<float, float>());
        await factory.InitializeAsync(CancellationToken.None);
        Assert.Null(factory.Signature);
        Assert.False(factory.TryCreateSample(out _));
        Assert.Equal(RejectionReason.NoCapacity, Assert.Throws<InferenceRejectedException>(() => factory.Admit([1])).Reason);
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () => await factory.ConnectAsync(new InstanceDescriptor { Id = "i", LaunchId = "l", OfferingName = "o" }, CancellationToken.None));
        Assert.Contains("instance 'i' has no address", error.Message, StringComparison.Ordinal);
    }
}
