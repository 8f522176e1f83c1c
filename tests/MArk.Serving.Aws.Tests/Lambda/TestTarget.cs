using System.Diagnostics.CodeAnalysis;
using Amazon.Runtime;
using MArk.Serving.Aws.Lambda;
using MArk.Serving.Tensors;
using Microsoft.Extensions.Logging.Abstractions;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>A spillover target for tests, and requests for it.</summary>
internal static class TestTarget
{
    public static LambdaSpilloverOptions Options(Uri address, Action<LambdaSpilloverOptions>? configure = null, string function = "forward")
    {
        var options = new LambdaSpilloverOptions();
        Set(options, address, function);
        configure?.Invoke(options);
        Assert.Empty(options.Violations());
        return options;
    }

    public static void Set(LambdaSpilloverOptions options, Uri address, string function = "forward")
    {
        options.FunctionName = function;
        options.Region = "eu-central-1";
        options.ServiceUrl = address;
        options.UseCredentials(new SessionAWSCredentials("AKIDEXAMPLE", "secret-of-nobody", "a-token"));
    }

    public static LambdaSpilloverTarget<float[], float[]> Create(
        Uri address, Action<LambdaSpilloverOptions>? configure = null, string function = "forward", string model = "pair", TimeProvider? time = null, TimeSpan? slo = null, bool hasSample = true) => new(
            model, Options(address, configure, function), hasSample ? new SingleTensorCodec<float, float>() : new UnsampledCodec(), slo ?? TimeSpan.FromSeconds(10), time ?? TimeProvider.System,
            NullLogger.Instance, new Random(1));

    public static async Task<LambdaSpilloverTarget<float[], float[]>> StartAsync(
        Uri address, Action<LambdaSpilloverOptions>? configure = null, string function = "forward", string model = "pair", TimeProvider? time = null, TimeSpan? slo = null, bool hasSample = true)
    {
        var target = Create(address, configure, function, model, time, slo, hasSample);
        await target.InitializeAsync(CancellationToken.None);
        return target;
    }

    /// <summary>Spills requests one by one, all before any is answered, as the engine does.</summary>
    public static (Answers[] Answers, Task[] Spills) Spill<T>(this ISpilloverTarget<T, float[]> target, IEnumerable<T> inputs, CancellationToken cancellationToken = default)
    {
        T[] all = [.. inputs];
        Answers[] answers = [.. all.Select(_ => new Answers(1))];
        return (answers, [.. all.Select((input, i) => target.InferAsync(new RequestBatch<T>(new[] { input }), answers[i], cancellationToken).AsTask())]);
    }

    public static IEnumerable<float[]> Pairs(int count) => Enumerable.Range(0, count).Select(i => new float[] { i, 3 });

    public static async Task<Exception> FailureOf(Task spill) => await Assert.ThrowsAnyAsync<Exception>(() => spill);
}

/// <summary>A sink that counts: each index is to be answered once.</summary>
internal sealed class Answers(int count) : IBatchSink<float[]>
{
    private readonly int[] _times = new int[count];

    public float[]?[] Results { get; } = new float[count][];

    public Exception?[] Errors { get; } = new Exception[count];

    /// <summary>The answer to the first request.</summary>
    public float[] Result => Results[0] ?? throw new InvalidOperationException("There is no answer.", Error);

    public Exception? Error => Errors[0];

    public int Times => _times.Max();

    public void SetResult(int index, float[] result)
    {
        Interlocked.Increment(ref _times[index]);
        Results[index] = result;
    }

    public void SetError(int index, Exception error)
    {
        Interlocked.Increment(ref _times[index]);
        Errors[index] = error;
    }

    public bool TryGetDestination(int index, [MaybeNullWhen(false)] out float[] destination)
    {
        destination = null;
        return false;
    }
}

/// <summary>A codec that comes to refuse an input that it had accepted, as where a caller changes it while it waits.</summary>
internal sealed class ShiftyCodec : ITensorCodec<float[], float[]>
{
    private static readonly ModelSignature Open = new([new TensorSpec("pair", TensorElementType.Float32, [-1])], [new TensorSpec("both", TensorElementType.Float32, [2])]);

    private readonly SingleTensorCodec<float, float> _codec = new();
    private bool _writesToo;

    /// <summary>The first number of the input.</summary>
    public float? Refuses { get; set; }

    /// <summary>A target for one call at a time.</summary>
    public async Task<LambdaSpilloverTarget<float[], float[]>> StartAsync(StubLambda stub, int maxBatchSize = 1, TimeSpan packWait = default)
    {
        _writesToo = maxBatchSize > 1;
        var options = TestTarget.Options(stub.Address, o => (o.Signature, o.MaxConcurrency, o.MaxBatchSize, o.PackWait) = (Open, 1, maxBatchSize, packWait));
        var target = new LambdaSpilloverTarget<float[], float[]>("pair", options, this, TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger.Instance, new Random(1));
        await target.InitializeAsync(CancellationToken.None);
        return target;
    }

    public void Bind(ModelSignature signature) => _codec.Bind(signature);

    public void Validate(float[] input) => _codec.Validate(input);

    public void GetItemShape(float[] input, int inputIndex, Span<long> itemShape)
    {
        Check(input, !_writesToo);
        _codec.GetItemShape(input, inputIndex, itemShape);
    }

    public void Write(float[] input, ITensorItems inputs)
    {
        Check(input, _writesToo);
        _codec.Write(input, inputs);
    }

    public float[] Read(ITensorItems outputs, bool hasDestination, float[]? destination) => _codec.Read(outputs, hasDestination, destination);

    private void Check(float[] input, bool isTime)
    {
        if (isTime && input[0] == Refuses)
        {
            throw new FormatException("It is another one now.");
        }
    }
}

/// <summary>A codec that cannot make an input up: nothing is inferred at start.</summary>
internal sealed class UnsampledCodec : ITensorCodec<float[], float[]>
{
    private readonly SingleTensorCodec<float, float> _codec = new();

    public void Bind(ModelSignature signature) => _codec.Bind(signature);

    public void Validate(float[] input) => _codec.Validate(input);

    public void GetItemShape(float[] input, int inputIndex, Span<long> itemShape) => _codec.GetItemShape(input, inputIndex, itemShape);

    public void Write(float[] input, ITensorItems inputs) => _codec.Write(input, inputs);

    public float[] Read(ITensorItems outputs, bool hasDestination, float[]? destination) => _codec.Read(outputs, hasDestination, destination);
}
