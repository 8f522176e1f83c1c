using MArk.Serving.Aws.Lambda;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>Which requests share an invocation.</summary>
public sealed class LambdaPackTests
{
    // The same for each call, so that a request of many is cheaper.
    private const string Report = "REPORT RequestId: 1\tDuration: 9.00 ms\tBilled Duration: 10 ms\tMemory Size: 1024 MB\t";

    [Fact]
    public async Task ABurstTakesFewerAndFewerInvocationsAndEachRequestGetsItsOwnAnswer()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.MaxBatchSize, o.PackWait) = (16, TimeSpan.Zero), time: new FakeTimeProvider());
        var price = target.GetQuote().Price(1);
        var sizes = new List<int[]>();
        for (var burst = 0; burst < 12; burst++)
        {
            var before = stub.Sizes.Length;
            // As one call with many requests, so that all are there when the first leaves.
            var answers = new Answers(48);
            await target.InferAsync(new RequestBatch<float[]>(TestTarget.Pairs(48).ToArray()), answers, CancellationToken.None);
            Assert.All(answers.Results, (r, i) => Assert.Equal([i + 3f, 3f * i], r!));
            Assert.Equal(1, answers.Times);
            sizes.Add(stub.Sizes[before..]);
            Assert.Equal(48, sizes[^1].Sum());
        }
        Assert.Equal(24, sizes[0].Length);
        Assert.Equal([16, 16, 16], sizes[^1]);
        // What a request is taken to cost has followed.
        Assert.True(target.GetQuote().Price(1) < price / 4, $"{target.GetQuote().Price(1)} of {price}");
    }

    [Fact]
    public async Task RequestsWaitForOthersAsLongAsTheyMayAndNoLonger()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        var time = new FakeTimeProvider();
        await using var target = await TestTarget.StartAsync(stub.Address, o => o.PackWait = TimeSpan.FromMilliseconds(5), time: time);
        var before = stub.Sizes.Length;
        // The second makes a call worth it: they leave without the wait.
        var (answers, spills) = target.Spill(TestTarget.Pairs(2));
        await Task.WhenAll(spills);
        Assert.Equal([2], stub.Sizes[before..]);
        // One alone leaves after it.
        (answers, spills) = target.Spill([[2f, 5f]]);
        Assert.Equal(before + 1, stub.Sizes.Length);
        time.Advance(TimeSpan.FromMilliseconds(5));
        await Task.WhenAll(spills);
        Assert.Equal([2, 1], stub.Sizes[before..]);
        Assert.Equal([7f, 10f], answers[0].Result);
    }

    [Fact]
    public async Task RequestsOfDifferentShapesDoNotShare()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        var signature = new ModelSignature([new TensorSpec("pair", TensorElementType.Float32, [-1])], [new TensorSpec("both", TensorElementType.Float32, [2])]);
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.Signature, o.PackWait) = (signature, TimeSpan.Zero), time: new FakeTimeProvider(), hasSample: false);
        await target.Spill([[1f, 2f]]).Spills[0];
        var before = stub.Sizes.Length;
        var answers = new Answers(4);
        await target.InferAsync(new RequestBatch<float[]>(new float[][] { [1, 2], [1, 2, 3], [5, 6], [7, 8, 9] }), answers, CancellationToken.None);
        Assert.Equal([3f, 2f], answers.Results[0]!);
        Assert.Equal([11f, 30f], answers.Results[2]!);
        // The model takes pairs only: the others were refused, together and then each alone.
        Assert.All(new[] { answers.Errors[1], answers.Errors[3] }, e => Assert.IsType<InferenceFailedException>(e));
        Assert.Equal([1, 1, 2, 2], stub.Sizes[before..].Order());
    }

    [Fact]
    public async Task APackIsNoLargerThanAPayloadMayBe()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        stub.Intercept = i => i.Size == 0 ? Task.FromResult(false) : i.AnswerAsync(200, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(new
        {
            model_name = "wide",
            outputs = new[] { new { name = "both", datatype = "FP32", shape = new[] { i.Size, 2 }, data = Enumerable.Repeat(1, 2 * i.Size) } },
        }));
        var signature = new ModelSignature([new TensorSpec("pair", TensorElementType.Float32, [300])], [new TensorSpec("both", TensorElementType.Float32, [2])]);
        await using var target = await TestTarget.StartAsync(stub.Address, o => (o.Signature, o.MaxPayloadBytes, o.PackWait) = (signature, 10_000, TimeSpan.Zero), time: new FakeTimeProvider());
        for (var burst = 0; burst < 8; burst++)
        {
            var answers = new Answers(12);
            await target.InferAsync(new RequestBatch<float[]>(Enumerable.Range(0, 12).Select(_ => new float[300]).ToArray()), answers, CancellationToken.None);
            Assert.All(answers.Results, Assert.NotNull);
        }
        // Four of 1600 bytes in base64 and the event around them.
        Assert.Equal(4, stub.Sizes.Max());
        Assert.All(stub.Invocations, i => Assert.True(i.Payload.Length <= 10_000, $"{i.Payload.Length}"));
    }

    [Fact]
    public async Task TextsThatTurnOutTooLargeTogetherAreSentInHalves()
    {
        await using var stub = await StubLambda.StartAsync();
        stub.Log = _ => Report;
        var signature = new ModelSignature([new TensorSpec("text", TensorElementType.String, [1])], [new TensorSpec("both", TensorElementType.Float32, [2])]);
        stub.Intercept = i => i.AnswerAsync(200, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(new
        {
            model_name = "texts",
            outputs = new[] { new { name = "both", datatype = "FP32", shape = new[] { i.Size, 2 }, data = Enumerable.Repeat(1, 2 * i.Size) } },
        }));
        await using var target = new LambdaSpilloverTarget<string, float[]>(
            "texts", TestTarget.Options(stub.Address, o => (o.Signature, o.MaxPayloadBytes, o.PackWait) = (signature, 4096, TimeSpan.Zero)), new TextCodec(), TimeSpan.FromSeconds(10), new FakeTimeProvider(),
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        await target.InitializeAsync(CancellationToken.None);
        var before = stub.Sizes.Length;
        var answers = new Answers(4);
        var texts = new string[] { new('a', 1000), new('b', 1000), new('c', 3000), new('d', 1000) };
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(async () => await target.InferAsync(new RequestBatch<string>(texts), answers, CancellationToken.None));
        Assert.Equal(LambdaFailure.PayloadTooLarge, error.Failure);
        Assert.Equal([true, true, false, true], answers.Results.Select(r => r is not null));
        Assert.Null(answers.Errors[2]);
        // The first two fit together; of the others the third is too large by itself, and was never sent.
        Assert.Equal([1, 2], stub.Sizes[before..].Order());
    }

    private sealed class TextCodec : ITensorCodec<string, float[]>
    {
        public void Bind(ModelSignature signature)
        {
        }

        public void Validate(string input)
        {
        }

        public void GetItemShape(string input, int inputIndex, Span<long> itemShape)
        {
        }

        public void Write(string input, ITensorItems inputs) => inputs[0].Strings[0] = input;

        public float[] Read(ITensorItems outputs, bool hasDestination, float[]? destination) => outputs[0].As<float>().ToArray();

        public bool TryCreateSample(out string sample)
        {
            sample = "a";
            return true;
        }
    }
}
