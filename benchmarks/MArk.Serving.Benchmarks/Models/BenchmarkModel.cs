using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.Benchmarks.Models;

/// <summary>A model of the benchmarks: its file, what it takes and gives, and inputs made beforehand.</summary>
internal sealed class BenchmarkModel : IDisposable
{
    private const int InputCount = 256;
    private const int InputSeed = 7;

    private readonly bool _isTemporary;

    private BenchmarkModel(string name, TimedDevice device)
    {
        (Name, Device) = (name, device);
        (Path, InputName, OutputName, InputShape, OutputShape) = ("", "", "", [64], [10]);
        Inputs = MakeInputs();
    }

    private BenchmarkModel(string name, string path, bool isTemporary)
    {
        (Name, Path, _isTemporary) = (name, path, isTemporary);
        using var session = OpenSession();
        InputName = session.InputNames[0];
        OutputName = session.OutputNames[0];
        InputShape = ItemShape(session.InputMetadata[InputName]);
        OutputShape = ItemShape(session.OutputMetadata[OutputName]);
        Inputs = MakeInputs();
    }

    public static string[] Names { get; } = ["digits", "mlp", "conv"];

    /// <summary>Those that can be served under a load: the models, and a device whose batches take 1.55 + 0.17 b ms, much as those of mlp, whatever the machine's speed is.</summary>
    public static string[] NamesUnderLoad { get; } = [.. Names, "device"];

    public string Name { get; }

    /// <summary>What runs it where that is no ONNX model.</summary>
    public TimedDevice? Device { get; }

    public string Path { get; }

    public string InputName { get; }

    public string OutputName { get; }

    /// <summary>One item's shape, without the batch.</summary>
    public long[] InputShape { get; }

    public long[] OutputShape { get; }

    public int InputLength => Length(InputShape);

    public int OutputLength => Length(OutputShape);

    /// <summary>The inputs that all requests share; only read.</summary>
    public float[][] Inputs { get; }

    public static BenchmarkModel Open(string name) => name switch
    {
        "mlp" => Make(name, SeededModels.Mlp()),
        "conv" => Make(name, SeededModels.Conv()),
        "device" => new BenchmarkModel(name, new TimedDevice(LatencyProfile.Linear(TimeSpan.FromMilliseconds(1.55), TimeSpan.FromMilliseconds(0.17), OpenLoopBench.MaxBatch))),
        _ => new BenchmarkModel(name, System.IO.Path.Combine(AppContext.BaseDirectory, "Models", "digits.onnx"), isTemporary: false),
    };

    /// <summary>A session of one thread, set up as the engine sets up its own.</summary>
    public InferenceSession OpenSession()
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        return new InferenceSession(Path, options);
    }

    public void Dispose()
    {
        if (_isTemporary)
        {
            File.Delete(Path);
        }
    }

    private float[][] MakeInputs()
    {
        var random = new Random(InputSeed);
        return [.. Enumerable.Range(0, InputCount).Select(_ => Enumerable.Range(0, InputLength).Select(_ => random.NextSingle()).ToArray())];
    }

    private static BenchmarkModel Make(string name, byte[] bytes)
    {
        var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"mark-benchmark-{name}-{Environment.ProcessId}.onnx");
        File.WriteAllBytes(path, bytes);
        return new BenchmarkModel(name, path, isTemporary: true);
    }

    private static long[] ItemShape(NodeMetadata node) => [.. node.Dimensions.Skip(1).Select(d => (long)d)];

    private static int Length(long[] shape) => (int)shape.Aggregate(1L, (a, b) => a * b);
}
