using System.Text;
using System.Text.RegularExpressions;
using MArk.Serving.OpenInference;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>What is sent, and what is learned from what comes back.</summary>
public sealed partial class LambdaCallTests
{
    private const string Report = "START RequestId: 1 Version: $LATEST\nEND RequestId: 1\nREPORT RequestId: 1\tDuration: 11.20 ms\tBilled Duration: 12 ms\tMemory Size: 2048 MB\tMax Memory Used: 90 MB\t";

    [GeneratedRegex("^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/[0-9]{8}/eu-central-1/lambda/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$")]
    private static partial Regex Authorization { get; }

    [Theory]
    [InlineData(OpenInferenceForm.RestBinary)]
    [InlineData(OpenInferenceForm.RestJson)]
    public async Task ARequestIsASignedInvocationWithAnEventOfPayloadFormat2(OpenInferenceForm form)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.Form, o.ApiKey, o.Qualifier) = (form, "key-of-the-worker", "live"));
        var (answers, spills) = target.Spill([[2f, 5f]]);
        await Task.WhenAll(spills);
        Assert.Equal([7f, 10f], answers[0].Result);
        var invocation = stub.Invocations[^1];
        Assert.Equal(("forward", "?Qualifier=live", "POST", "/v2/models/pair/infer"), (invocation.Function, invocation.Query, invocation.Method, invocation.Path));
        Assert.Equal(("RequestResponse", "Tail"), (invocation.Headers["X-Amz-Invocation-Type"], invocation.Headers["X-Amz-Log-Type"]));
        var signed = Authorization.Match(invocation.Headers["Authorization"]);
        Assert.True(signed.Success, invocation.Headers["Authorization"]);
        Assert.Superset(new HashSet<string> { "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token" }, signed.Groups[1].Value.Split(';').ToHashSet());
        Assert.Equal("a-token", invocation.Headers["X-Amz-Security-Token"]);
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(invocation.Payload)), invocation.Headers["X-Amz-Content-Sha256"]);
        var sent = invocation.Event;
        Assert.Equal("2.0", sent.GetProperty("version").GetString());
        Assert.Equal("Bearer key-of-the-worker", sent.GetProperty("headers").GetProperty("authorization").GetString());
        Assert.Equal(form == OpenInferenceForm.RestBinary, sent.GetProperty("isBase64Encoded").GetBoolean());
        Assert.Equal(form == OpenInferenceForm.RestBinary ? "application/octet-stream" : "application/json", sent.GetProperty("headers").GetProperty("content-type").GetString());
    }

    [Fact]
    public async Task TextsInJsonArriveAsTheyWere()
    {
        await using var stub = await StubLambda.StartAsync();
        byte[]? body = null;
        stub.Intercept = async invocation =>
        {
            body = invocation.Body;
            return await invocation.AnswerAsync(200, Encoding.UTF8.GetBytes("""{"model_name":"t","outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[4]}]}"""));
        };
        var signature = new ModelSignature([new TensorSpec("x", TensorElementType.String, [1])], [new TensorSpec("y", TensorElementType.Float32, [1])]);
        await using var target = new MArk.Serving.Aws.Lambda.LambdaSpilloverTarget<NamedTensors, NamedTensors>(
            "t", TestTarget.Options(stub.Address, o => (o.Form, o.Signature) = (OpenInferenceForm.RestJson, signature)), new MArk.Serving.Tensors.NamedTensorsCodec(), TimeSpan.FromSeconds(1), TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        await target.InitializeAsync(CancellationToken.None);
        const string Text = "a \"quoted\" \\ back\nslash, ä and 漢";
        var sink = new Sink();
        await target.InferAsync(new RequestBatch<NamedTensors>(new[] { new NamedTensors { { "x", TensorValue.Create(TensorElementType.String, [Text]) } } }), sink, CancellationToken.None);
        Assert.Equal(4f, sink.Result!["y"].As<float>()[0]);
        Assert.Equal(Text, System.Text.Json.JsonDocument.Parse(body).RootElement.GetProperty("inputs")[0].GetProperty("data")[0].GetString());
    }

    [Fact]
    public async Task ThePriceIsThatOfWhatIsBilledWithTheMemoryThatIsReported()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        await using var target = await TestTarget.StartAsync(stub.Address);
        Assert.Equal(0.0000002 + 2 * 0.012 * 0.0000166667, (double)target.GetQuote().Price(1), 1e-12);
    }

    [Fact]
    public async Task WithoutAReportThePriceIsThatOfWholeMilliseconds()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MemoryMiB, o.PricePerGbSecond, o.PricePerCall) = (512, 0.002m, 0.001m));
        // A millisecond of half a gigabyte is 0.000001.
        var milliseconds = (target.GetQuote().Price(1) - 0.001m) / 0.000001m;
        Assert.True(milliseconds >= 1, $"{milliseconds}");
    }

    [Fact]
    public async Task AFirstQuoteIsOfWarmCallsAndOfColdOnes()
    {
        await using var stub = await StubLambda.StartAsync();
        var isFirst = 1;
        stub.Log = _ => Report + (Interlocked.Exchange(ref isFirst, 0) == 1 ? "Init Duration: 400.00 ms\t" : "");
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize) = (7, 1));
        var quote = target.GetQuote();
        Assert.Equal((7, 1), (quote.FreeConcurrency, quote.WarmConcurrency));
        Assert.True(quote.Warm.P50 > TimeSpan.Zero && quote.Warm.P95 >= quote.Warm.P50 && quote.Warm.P99 >= quote.Warm.P95, $"{quote.Warm}");
        // The one that was cold is not among the warm: it is the only word on cold ones.
        Assert.Equal(LatencyQuantiles.Constant(quote.Cold.P50), quote.Cold);
        Assert.True(quote.ValidFor > TimeSpan.Zero && quote.ValidFor < TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task WhatIsUnderWayIsNotFree()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize) = (2, 1));
        var (started, goOn) = (new SemaphoreSlim(0), new TaskCompletionSource());
        stub.Intercept = async invocation =>
        {
            started.Release();
            await goOn.Task;
            return false;
        };
        var (answers, spills) = target.Spill(TestTarget.Pairs(3));
        await started.WaitAsync();
        await started.WaitAsync();
        Assert.Equal(0, target.GetQuote().FreeConcurrency);
        Assert.Equal(0, started.CurrentCount);
        goOn.SetResult();
        await Task.WhenAll(spills);
        Assert.All(answers, (a, i) => Assert.Equal([i + 3f, 3f * i], a.Result));
        var quote = target.GetQuote();
        Assert.Equal((2, 2), (quote.FreeConcurrency, quote.WarmConcurrency));
    }

    [Fact]
    public async Task WhatIsFreeCountsRequestsThoughTheyShareCalls()
    {
        await using var stub = await StubLambda.StartAsync();
        // All that a call costs is the call: the more share it the better.
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize, o.PricePerGbSecond, o.PricePerCall) = (3, 8, 0m, 0.001m));
        for (var i = 0; i < 8; i++)
        {
            await Task.WhenAll(target.Spill(TestTarget.Pairs(64)).Spills);
        }
        // A call ends a moment after its requests.
        using var tooLong = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (target.GetQuote().FreeConcurrency != 3 * 8)
        {
            await Task.Delay(5, tooLong.Token);
        }
    }

    [Fact]
    public async Task PrewarmingHoldsAsManyPingsAtOnceAsThereAreToBeEnvironments()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize) = (5, 1));
        var (held, all, goOn) = (0, new TaskCompletionSource(), new TaskCompletionSource());
        stub.Intercept = async invocation =>
        {
            if (Interlocked.Increment(ref held) == 5)
            {
                all.SetResult();
            }
            await goOn.Task;
            return false;
        };
        var prewarm = target.PrewarmAsync(9, CancellationToken.None).AsTask();
        await all.Task;
        Assert.Equal(0, target.GetQuote().FreeConcurrency);
        goOn.SetResult();
        await prewarm;
        Assert.Equal((5, "/v2/health/live"), (held, stub.Invocations[^1].Path));
        Assert.Equal(5, target.GetQuote().WarmConcurrency);
        // They are warm: nothing more is to be done.
        await target.PrewarmAsync(5, CancellationToken.None);
        Assert.Equal(5, held);
    }

    [Fact]
    public async Task PrewarmingThatFailsSaysSoAndIsPaidFor()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        await using var target = await TestTarget.StartAsync(stub.Address);
        var before = target.GetQuote().Price(1);
        stub.Intercept = invocation => invocation.FailAsync("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: exit status 1");
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(async () => await target.PrewarmAsync(3, CancellationToken.None));
        Assert.Equal(LambdaFailure.EnvironmentFailed, error.Failure);
        Assert.True(target.GetQuote().Price(1) > before);
    }

    private sealed class Sink : IBatchSink<NamedTensors>
    {
        public NamedTensors? Result { get; private set; }

        public void SetResult(int index, NamedTensors result) => Result = result;

        public void SetError(int index, Exception error) => Assert.Fail(error.Message);

        public bool TryGetDestination(int index, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out NamedTensors destination)
        {
            destination = null;
            return false;
        }
    }
}
