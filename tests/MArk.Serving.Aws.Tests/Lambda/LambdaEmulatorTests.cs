using MArk.Serving.Aws.Lambda;
using CloudHost.Emulators;
using MArk.Serving.OpenInference;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>The functions of serverless-offline, and a worker of its own process behind them.</summary>
public sealed class LambdaEmulatorTests(LambdaEmulatorTests.Emulator emulator) : IClassFixture<LambdaEmulatorTests.Emulator>
{
    [Theory]
    [InlineData(OpenInferenceForm.RestBinary)]
    [InlineData(OpenInferenceForm.RestJson)]
    public async Task DigitsAreInferredThroughAFunction(OpenInferenceForm form)
    {
        await using var target = await StartAsync("forward", o => o.Form = form);
        var (answers, spills) = target.Spill(Digits(5));
        await Task.WhenAll(spills);
        Assert.All(answers, a => Assert.Equal((1, 10), (a.Times, a.Result.Length)));
        // Each has its own answer.
        Assert.Equal(5, answers.Select(a => a.Result[0]).Distinct().Count());
        var quote = target.GetQuote();
        Assert.True(quote.Warm.P50 > TimeSpan.Zero && quote.Price(1) > 0.0000002m, $"{quote}");
    }

    [Fact]
    public async Task ABurstIsAnsweredRightHoweverItIsPacked()
    {
        await using var target = await StartAsync("forward", o => o.MaxConcurrency = 4);
        var alone = target.Spill(Digits(40).Take(1));
        await Task.WhenAll(alone.Spills);
        var (answers, spills) = target.Spill(Digits(40));
        await Task.WhenAll(spills);
        Assert.All(answers, a => Assert.Equal((1, 10), (a.Times, a.Result.Length)));
        Assert.Equal(alone.Answers[0].Result, answers[0].Result);
        Assert.Equal(40, answers.Select(a => a.Result[0]).Distinct().Count());
    }

    [Fact]
    public async Task AnEnvironmentThatStartsIsSlowAndOnesThatWereStartedBeforeAreNot()
    {
        await using var target = await StartAsync("cold", o => o.MaxBatchSize = 1);
        var quote = target.GetQuote();
        Assert.True(quote.Cold.P50 >= TimeSpan.FromMilliseconds(700), $"{quote.Cold}");
        Assert.True(quote.Warm.P50 < quote.Cold.P50, $"{quote.Warm} and {quote.Cold}");
        Assert.Equal(1, quote.WarmConcurrency);
        await target.PrewarmAsync(3, CancellationToken.None);
        Assert.Equal(3, target.GetQuote().WarmConcurrency);
    }

    [Fact]
    public async Task AHandlerThatThrowsFailsTheStart()
    {
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => StartAsync("throws"));
        Assert.Equal(LambdaFailure.HandlerFailed, error.Failure);
        Assert.Contains("the handler threw", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARequestIsRunAloneWhereItsCompanyFails()
    {
        await using var target = await StartAsync("picky", o => (o.MaxBatchSize, o.PackWait) = (2, TimeSpan.FromSeconds(1)));
        var (answers, spills) = target.Spill(Digits(2));
        await Task.WhenAll(spills);
        Assert.All(answers, a => Assert.Equal((1, 10), (a.Times, a.Result.Length)));
    }

    [Fact]
    public async Task AFunctionThatRunsOutOfTimeHandsTheRequestBack()
    {
        await using var target = await StartAsync("hangs", hasSample: false);
        var (answers, spills) = target.Spill(Digits(1));
        var error = Assert.IsType<LambdaSpilloverException>(await TestTarget.FailureOf(spills[0]));
        Assert.Equal((LambdaFailure.EnvironmentFailed, 0), (error.Failure, answers[0].Times));
    }

    [Fact]
    public async Task AnAnswerThatIsTooLargeIsTheRequestsFault()
    {
        await using var target = await StartAsync("large", hasSample: false);
        var (answers, spills) = target.Spill(Digits(1));
        await Task.WhenAll(spills);
        Assert.IsType<InferenceFailedException>(answers[0].Error);
    }

    [Fact]
    public async Task AFunctionThatIsNotThereIsNamed()
    {
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => StartAsync("nowhere"));
        Assert.Equal((LambdaFailure.NoSuchFunction, "nowhere"), (error.Failure, error.FunctionName));
    }

    private Task<LambdaSpilloverTarget<float[], float[]>> StartAsync(string function, Action<LambdaSpilloverOptions>? configure = null, bool hasSample = true) =>
        TestTarget.StartAsync(emulator.Address, configure, function, model: "digits", hasSample: hasSample);

    /// <summary>Inputs that all differ, and so do their answers.</summary>
    private static IEnumerable<float[]> Digits(int count) => Enumerable.Range(0, count).Select(i => Enumerable.Range(0, 64).Select(k => (i + 1) * (k % 7) / 10f).ToArray());

    /// <summary>A worker, and the functions before it.</summary>
    public sealed class Emulator : IAsyncLifetime
    {
        private LoadedWorker? _worker;
        private ServerlessOffline? _functions;

        public Uri Address
        {
            get
            {
                Peers.Require(_functions is not null, "serverless-offline");
                return _functions!.Address;
            }
        }

        public async ValueTask InitializeAsync()
        {
            if (!ServerlessOffline.IsInstalled)
            {
                // Each test says so for itself.
                return;
            }
            _worker = await LoadedWorker.StartAsync("digits", Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx"));
            _functions = await ServerlessOffline.StartAsync(_worker.Address);
        }

        public async ValueTask DisposeAsync()
        {
            if (_functions is not null)
            {
                await _functions.DisposeAsync();
            }
            if (_worker is not null)
            {
                await _worker.DisposeAsync();
            }
        }
    }
}
