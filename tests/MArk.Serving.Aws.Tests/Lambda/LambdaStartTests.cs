using MArk.Serving.OpenInference;
using Microsoft.Extensions.Configuration;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>Options, and a start that does not come about.</summary>
public sealed class LambdaStartTests
{
    [Fact]
    public async Task AFunctionThatIsNotThereIsNamed()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Intercept = i => i.RefuseAsync(404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:eu-central-1:1:function:forward");
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address));
        Assert.Equal((LambdaFailure.NoSuchFunction, "forward"), (error.Failure, error.FunctionName));
        Assert.Contains("ResourceNotFoundException", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ACallerThatMayNotIsToldWhatPermissionItNeeds()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Intercept = i => i.RefuseAsync(403, "AccessDeniedException", "User is not authorized");
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address));
        Assert.Equal(LambdaFailure.AccessDenied, error.Failure);
        Assert.Contains("lambda:InvokeFunction", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-of-nobody", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AModelThatTheFunctionDoesNotHaveIsNamed()
    {
        await using var stub = await StubLambda.StartAsync();
        var error = await Assert.ThrowsAsync<ModelLoadException>(() => TestTarget.StartAsync(stub.Address, o => o.Model = "other"));
        Assert.Contains("other", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsNoDescriptionOfAModelIsSaidToBeNone()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Intercept = i => i.AnswerAsync(200, "[]"u8.ToArray());
        Assert.Contains("no description", (await Assert.ThrowsAsync<ModelLoadException>(() => TestTarget.StartAsync(stub.Address))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AFunctionThatThrottlesIsAskedAgainUntilItAnswers()
    {
        await using var stub = await StubLambda.StartAsync();
        var times = 0;
        stub.Intercept = i => Interlocked.Increment(ref times) == 1 ? i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.") : Task.FromResult(false);
        await using var target = await TestTarget.StartAsync(stub.Address);
        Assert.True(times > 1);
        Assert.True(target.GetQuote().FreeConcurrency >= 100);
    }

    [Fact]
    public async Task AFunctionThatAnswersAgainIsNotLeftAloneAnyLonger()
    {
        await using var stub = await StubLambda.StartAsync();
        var times = 0;
        stub.Intercept = i => Interlocked.Increment(ref times) == 1 ? i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.", retryAfter: "600") : Task.FromResult(false);
        await using var target = await TestTarget.StartAsync(stub.Address);
        Assert.True(target.GetQuote().FreeConcurrency >= 100);
    }

    [Fact]
    public async Task AModelOfWhichNoRequestFitsAnInvocationIsNotStarted()
    {
        await using var stub = await StubLambda.StartAsync();
        var signature = new ModelSignature([new TensorSpec("pair", TensorElementType.Float32, [4000])], [new TensorSpec("both", TensorElementType.Float32, [2])]);
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address, o => (o.Signature, o.MaxPayloadBytes) = (signature, 4096)));
        Assert.Equal(LambdaFailure.PayloadTooLarge, error.Failure);
        Assert.Contains("accepted: 4096", error.Message, StringComparison.Ordinal);
        Assert.Empty(stub.Invocations);
    }

    [Fact]
    public async Task WhereNothingCanBeInferredAtTheStartAFirstQuoteIsOfAWarmCallToo()
    {
        await using var stub = await StubLambda.StartAsync();
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var isFirst = 1;
        stub.Intercept = _ =>
        {
            time.Advance(TimeSpan.FromMilliseconds(Interlocked.Exchange(ref isFirst, 0) == 1 ? 700 : 20));
            return Task.FromResult(false);
        };
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.Signature, o.PackWait) = (StubLambda.Pair, TimeSpan.Zero), time: time, hasSample: false);
        Assert.Equal((TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(700)), (target.GetQuote().Warm.P50, target.GetQuote().Cold.P50));
    }

    [Theory]
    [InlineData("POST\n/2015-03-31/functions/forward/invocations\n\nx-amz-security-token:a-token\n")]
    [InlineData("the token a-token is not valid")]
    public async Task ATokenThatLambdaRepeatsIsNotTold(string message)
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Intercept = i => i.RefuseAsync(403, "InvalidSignatureException", $"The request signature we calculated does not match. The Canonical String for this request should have been {message}");
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address));
        Assert.Contains("signature we calculated does not match", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("a-token", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AFunctionThatGoesOnThrottlingFailsTheStart()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Intercept = i => i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.");
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address, o => o.ReadyTimeout = TimeSpan.FromTicks(1)));
        Assert.Equal(LambdaFailure.Throttled, error.Failure);
    }

    [Theory]
    [InlineData("FunctionName", "", "the name or the ARN")]
    [InlineData("MaxConcurrency", "0", "1 to 10000")]
    [InlineData("MaxBatchSize", "65537", "1 to 65536")]
    [InlineData("MaxPayloadBytes", "6291457", "4096 to 6291456")]
    [InlineData("PackWait", "00:00:02", "0 to 1 s")]
    [InlineData("MaxPackedLatency", "00:00:00", "more than 0")]
    [InlineData("CallTimeout", "00:16:00", "at most 15 min")]
    [InlineData("ReadyTimeout", "00:00:00", "more than 0")]
    [InlineData("IdleLifetime", "-00:00:01", "more than 0")]
    [InlineData("MemoryMiB", "64", "128 to 10240")]
    [InlineData("PricePerGbSecond", "-1", "0 to 1")]
    [InlineData("PricePerCall", "-1", "0 to 1")]
    [InlineData("Form", "Grpc", "RestBinary and RestJson")]
    [InlineData("ServiceUrl", "ftp://host/", "http or https")]
    [InlineData("Model", " ", "the name of a model")]
    [InlineData("Version", "", "a version")]
    [InlineData("Version", "..", "a version")]
    [InlineData("Region", " ", "a region")]
    [InlineData("Qualifier", " ", "an alias")]
    public void AnOptionOutsideItsRangeIsNamedWithItsValueAndTheRange(string option, string value, string accepted)
    {
        var options = Bind((option, value));
        var violation = Assert.Single(options.Violations());
        Assert.StartsWith($"{option} is ", violation, StringComparison.Ordinal);
        Assert.Contains(accepted, violation, StringComparison.Ordinal);
    }

    [Fact]
    public void OptionsAreBoundFromConfiguration()
    {
        var options = Bind(("Form", "RestJson"), ("MaxPackedLatency", "00:00:00.030"), ("ServiceUrl", "https://vpce-1.lambda.eu-central-1.vpce.example/"), ("PricePerGbSecond", "0.00002"));
        Assert.Empty(options.Violations());
        Assert.Equal(("digits", OpenInferenceForm.RestJson, TimeSpan.FromMilliseconds(30), 0.00002m), (options.FunctionName, options.Form, options.MaxPackedLatency!.Value, options.PricePerGbSecond));
    }

    private static LambdaSpilloverOptions Bind(params (string Key, string? Value)[] values)
    {
        var settings = new Dictionary<string, string?> { ["FunctionName"] = "digits" };
        foreach (var (key, value) in values)
        {
            settings[key] = value;
        }
        return new ConfigurationBuilder().AddInMemoryCollection(settings).Build().Get<LambdaSpilloverOptions>()!;
    }
}
