using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>What becomes of requests when an invocation fails: who is at fault, and what is tried again.</summary>
public sealed class LambdaFaultTests
{
    private static readonly float[][] One = [[2f, 5f]];

    [Fact]
    public async Task ThrottledRequestsGoBackAndNothingIsSentForAsLongAsLambdaSays()
    {
        await using var stub = await StubLambda.StartAsync();
        var time = new FakeTimeProvider();
        await using var target = await TestTarget.StartAsync(stub.Address, o => o.MaxBatchSize = 1, time: time);
        stub.Intercept = i => i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded", retryAfter: "3");
        var before = stub.Invocations.Length;
        var (answers, spills) = target.Spill(One);
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal(LambdaFailure.Throttled, error.Failure);
        Assert.Contains("ReservedFunctionConcurrentInvocationLimitExceeded", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, before + 1), (answers[0].Times, stub.Invocations.Length));
        var quote = target.GetQuote();
        Assert.Equal((0, TimeSpan.FromSeconds(3)), (quote.FreeConcurrency, quote.ValidFor));
        // What was spilled before that quote was known goes back unsent.
        Assert.Equal(LambdaFailure.Throttled, Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(target.Spill(One).Spills[0])).Failure);
        Assert.Equal(before + 1, stub.Invocations.Length);
        time.Advance(TimeSpan.FromSeconds(3));
        stub.Intercept = _ => Task.FromResult(false);
        Assert.True(target.GetQuote().FreeConcurrency >= 100);
        (answers, spills) = target.Spill(One);
        await Task.WhenAll(spills);
        Assert.Equal([7f, 10f], answers[0].Result);
    }

    [Fact]
    public async Task APauseIsNoLongerThanAnHourWhateverLambdaSays()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => o.MaxBatchSize = 1, time: new FakeTimeProvider());
        stub.Intercept = i => i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.", retryAfter: "999999999");
        await TestTarget.FailureOf(target.Spill(One).Spills[0]);
        Assert.Equal(TimeSpan.FromHours(1), target.GetQuote().ValidFor);
    }

    [Fact]
    public async Task AnInputThatIsChangedWhileItWaitsHoldsUpNoOther()
    {
        await using var stub = await StubLambda.StartAsync();
        var codec = new ShiftyCodec();
        await using var target = await codec.StartAsync(stub);
        var hold = new TaskCompletionSource();
        stub.Intercept = async _ =>
        {
            await hold.Task;
            return false;
        };
        var (answers, spills) = target.Spill([[1f, 3f], [13f, 3f], [2f, 5f]]);
        codec.Refuses = 13;
        hold.SetResult();
        await Task.WhenAll(spills.Where((_, i) => i != 1));
        await TestTarget.FailureOf(spills[1]);
        Assert.Equal([4f, 3f], answers[0].Result);
        Assert.Equal([7f, 10f], answers[2].Result);
        Assert.Equal(0, answers[1].Times);
    }

    [Fact]
    public async Task ARequestThatCannotBeWrittenGoesBackAlone()
    {
        await using var stub = await StubLambda.StartAsync();
        var codec = new ShiftyCodec { Refuses = 13 };
        await using var target = await codec.StartAsync(stub, maxBatchSize: 2, packWait: TimeSpan.FromSeconds(1));
        // Two are tried together once one was answered.
        await target.Spill(One).Spills[0];
        var (answers, spills) = target.Spill([[1f, 3f], [13f, 3f]]);
        await spills[0];
        Assert.IsType<FormatException>(await TestTarget.FailureOf(spills[1]));
        Assert.Equal([4f, 3f], answers[0].Result);
        Assert.Equal([1, 0], answers.Select(a => a.Times));
    }

    [Theory]
    [InlineData(500, "ServiceException")]
    [InlineData(502, "EC2ThrottledException")]
    public async Task AnErrorOfTheServiceIsTriedOnceAgain(int status, string type)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        var before = stub.Invocations.Length;
        var times = 0;
        stub.Intercept = i => Interlocked.Increment(ref times) == 1 ? i.RefuseAsync(status, type, "try again") : Task.FromResult(false);
        var (answers, spills) = target.Spill(One);
        await Task.WhenAll(spills);
        Assert.Equal([7f, 10f], answers[0].Result);
        Assert.Equal(2, stub.Invocations.Length - before);
        // Once, and no more.
        stub.Intercept = i => i.RefuseAsync(status, type, "never");
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(target.Spill(One).Spills[0]));
        Assert.Equal((LambdaFailure.ServiceFailed, 4), (error.Failure, stub.Invocations.Length - before));
    }

    [Fact]
    public async Task AConnectionThatBreaksBeforeAnAnswerIsTriedOnceAgain()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        var before = stub.Invocations.Length;
        stub.Intercept = i => i.BreakAsync();
        var (answers, spills) = target.Spill(One);
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal((LambdaFailure.Unreachable, 2, 0), (error.Failure, stub.Invocations.Length - before, answers[0].Times));
    }

    [Fact]
    public async Task WhereThereIsNoTimeForItNothingIsTriedAgain()
    {
        await using var stub = await StubLambda.StartAsync();
        var time = new FakeTimeProvider();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxPackedLatency, o.MaxBatchSize) = (TimeSpan.FromMilliseconds(50), 1), time: time);
        var before = stub.Invocations.Length;
        stub.Intercept = i =>
        {
            time.Advance(TimeSpan.FromMilliseconds(60));
            return i.RefuseAsync(500, "ServiceException", "late");
        };
        await TestTarget.FailureOf(target.Spill(One).Spills[0]);
        Assert.Equal(1, stub.Invocations.Length - before);
    }

    [Fact]
    public async Task ACallThatIsNotAnsweredIsGivenUpAndNotTriedAgain()
    {
        await using var stub = await StubLambda.StartAsync();
        var time = new FakeTimeProvider();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.CallTimeout, o.MaxBatchSize) = (TimeSpan.FromSeconds(7), 1), time: time);
        var before = stub.Invocations.Length;
        var arrived = new TaskCompletionSource();
        stub.Intercept = i =>
        {
            arrived.SetResult();
            return i.HangAsync();
        };
        var (answers, spills) = target.Spill(One);
        await arrived.Task;
        time.Advance(TimeSpan.FromSeconds(7));
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal((LambdaFailure.TimedOut, 1, 0), (error.Failure, stub.Invocations.Length - before, answers[0].Times));
        // Its environment is not one to count on.
        Assert.Equal(0, target.GetQuote().WarmConcurrency);
    }

    [Theory]
    [InlineData("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed", "Unhandled")]
    [InlineData("Runtime.OutOfMemory", "RequestId: 1 Error: Runtime exited", "Unhandled")]
    [InlineData("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 3.00 seconds", "Unhandled")]
    [InlineData(null, "2025-11-26T12:00:00.000Z 1 Task timed out after 3.00 seconds", "Unhandled")]
    [InlineData("Error", "[504] - Lambda timeout.", null)]
    public async Task AnEnvironmentThatEndsHandsTheRequestBack(string? type, string message, string? header)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        var before = stub.Invocations.Length;
        stub.Intercept = i => i.FailAsync(type, message, header);
        var (answers, spills) = target.Spill(One);
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal((LambdaFailure.EnvironmentFailed, 1, 0), (error.Failure, stub.Invocations.Length - before, answers[0].Times));
        Assert.Equal(0, target.GetQuote().WarmConcurrency);
    }

    [Theory]
    [InlineData("Unhandled")]
    [InlineData(null)]      // the error is told by the body alone
    public async Task AnErrorOfTheHandlerIsThatOfALoneRequest(string? header)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => o.MaxBatchSize = 1);
        var before = stub.Invocations.Length;
        stub.Intercept = i => i.FailAsync("ValueError", "not this one", header);
        var (answers, spills) = target.Spill(One);
        await Task.WhenAll(spills);
        var error = Assert.IsType<InferenceFailedException>(answers[0].Error);
        Assert.Contains("ValueError: not this one", error.Message, StringComparison.Ordinal);
        Assert.Equal(LambdaFailure.HandlerFailed, Assert.IsType<LambdaSpilloverException>(error.InnerException).Failure);
        Assert.Equal(1, stub.Invocations.Length - before);
        Assert.Equal(1, target.GetQuote().WarmConcurrency);
    }

    [Fact]
    public async Task OneBadRequestFailsAlone()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxBatchSize, o.PackWait) = (2, TimeSpan.FromSeconds(1)));
        var before = stub.Sizes.Length;
        stub.Intercept = i => i.Firsts.Contains(13f) ? i.FailAsync("ValueError", "13") : Task.FromResult(false);
        var (answers, spills) = target.Spill([[1f, 3f], [13f, 3f]]);
        await Task.WhenAll(spills);
        Assert.Equal([4f, 3f], answers[0].Result);
        Assert.IsType<InferenceFailedException>(answers[1].Error);
        Assert.All(answers, a => Assert.Equal(1, a.Times));
        Assert.Equal([2, 1, 1], stub.Sizes[before..]);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(413)]
    [InlineData(422)]
    public async Task ARequestThatTheServerRefusesFails(int status)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        stub.Intercept = i => i.AnswerAsync(status, "inputs[0]: not so");
        var (answers, spills) = target.Spill(One);
        await Task.WhenAll(spills);
        Assert.Contains($"{status}: {{\"error\":\"inputs[0]: not so\"}}", Assert.IsType<InferenceFailedException>(answers[0].Error).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(429, LambdaFailure.Busy)]
    [InlineData(503, LambdaFailure.Busy)]
    [InlineData(404, LambdaFailure.NoSuchModel)]
    [InlineData(401, LambdaFailure.AccessDenied)]
    [InlineData(500, LambdaFailure.BadAnswer)]
    public async Task AServerThatCannotHandsTheRequestBack(int status, LambdaFailure failure)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        var before = stub.Invocations.Length;
        stub.Intercept = i => i.AnswerAsync(status, "not now", retryAfter: "2");
        var (answers, spills) = target.Spill(One);
        Assert.Equal(failure, Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0])).Failure);
        Assert.Equal((1, 0), (stub.Invocations.Length - before, answers[0].Times));
        Assert.Equal(failure == LambdaFailure.Busy, target.GetQuote().FreeConcurrency == 0);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"statusCode":200,"body":"!","isBase64Encoded":true}""")]
    [InlineData("""{"statusCode":200,"body":"{\"outputs\":[]}"}""")]
    [InlineData("""{"statusCode":200,"headers":{"Inference-Header-Content-Length":"9999"},"body":"AA==","isBase64Encoded":true}""")]
    [InlineData("""{"statusCode":200,"headers":{"Inference-Header-Content-Length":{}},"body":"AA==","isBase64Encoded":true}""")]
    [InlineData("""{"statusCode":200,"headers":[1],"body":7}""")]
    [InlineData("it is no JSON")]
    public async Task AnAnswerThatIsNoneHandsTheRequestBack(string answer)
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address);
        stub.Intercept = i => i.WriteAsync(answer);
        var (answers, spills) = target.Spill(One);
        Assert.Equal(LambdaFailure.BadAnswer, Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0])).Failure);
        Assert.Equal(0, answers[0].Times);
    }

    [Fact]
    public async Task WhatIsTooLargeGoesBackBeforeAnythingIsSentAndNothingElseDoes()
    {
        await using var stub = await StubLambda.StartAsync();
        var signature = new ModelSignature([new TensorSpec("pair", TensorElementType.Float32, [-1])], [new TensorSpec("both", TensorElementType.Float32, [2])]);
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.Signature, o.MaxPayloadBytes) = (signature, 4096), hasSample: false);
        var before = stub.Invocations.Length;
        var (answers, spills) = target.Spill([new float[4000], [2f, 5f]]);
        await spills[1];
        // The fleet may well serve it.
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal((LambdaFailure.PayloadTooLarge, 0), (error.Failure, answers[0].Times));
        Assert.Contains("accepted: 4096", error.Message, StringComparison.Ordinal);
        Assert.Equal([7f, 10f], answers[1].Result);
        Assert.Equal(1, stub.Invocations.Length - before);
    }

    [Fact]
    public async Task NoMemoryIsTakenForWhatIsTooLarge()
    {
        await using var stub = await StubLambda.StartAsync();
        // It would say so if it were asked to write.
        var codec = new ShiftyCodec { Refuses = 0 };
        await using var target = await codec.StartAsync(stub, maxBatchSize: 2);
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(target.Spill([new float[1_200_000]]).Spills[0]));
        Assert.Equal(LambdaFailure.PayloadTooLarge, error.Failure);
    }

    [Fact]
    public async Task WhatIsWaitingIsWithdrawnWhenItIsGivenUp()
    {
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize) = (1, 1));
        using var stop = new CancellationTokenSource();
        var arrived = new TaskCompletionSource();
        stub.Intercept = i =>
        {
            arrived.TrySetResult();
            return i.HangAsync();
        };
        var before = stub.Invocations.Length;
        var (answers, spills) = target.Spill(TestTarget.Pairs(3), stop.Token);
        await arrived.Task;
        await stop.CancelAsync();
        foreach (var spill in spills)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => spill);
        }
        Assert.Equal(1, stub.Invocations.Length - before);
        Assert.All(answers, a => Assert.Equal(0, a.Times));
    }

    [Fact]
    public async Task AnEndedTargetHandsBackWhatItHas()
    {
        await using var stub = await StubLambda.StartAsync();
        var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxConcurrency, o.MaxBatchSize) = (1, 1));
        var arrived = new TaskCompletionSource();
        stub.Intercept = i =>
        {
            arrived.TrySetResult();
            return i.HangAsync();
        };
        var (answers, spills) = target.Spill(TestTarget.Pairs(2));
        await arrived.Task;
        await target.DisposeAsync();
        foreach (var spill in spills)
        {
            await TestTarget.FailureOf(spill);
        }
        Assert.All(answers, a => Assert.Equal(0, a.Times));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => target.Spill(One).Spills[0]);
    }
}
