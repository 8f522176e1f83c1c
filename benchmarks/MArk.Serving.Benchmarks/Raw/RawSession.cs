using MArk.Serving.Benchmarks.Models;
using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>One ONNX Runtime session over memory made beforehand, or a device, and nothing around it. Used by one thread.</summary>
internal sealed class RawSession : IDisposable
{
    private readonly BenchmarkModel _model;
    private readonly InferenceSession? _session;     // none for a device
    private readonly RunOptions _runOptions = new();
    private readonly float[] _input;
    private readonly float[] _output;
    private readonly OrtIoBinding?[] _bindings;
    private readonly List<OrtValue> _bound = [];

    public RawSession(BenchmarkModel model, int maxBatch)
    {
        _model = model;
        _session = model.Device is null ? model.OpenSession() : null;
        _input = new float[maxBatch * model.InputLength];
        _output = new float[maxBatch * model.OutputLength];
        _bindings = new OrtIoBinding?[maxBatch + 1];
    }

    /// <summary>Copies one input into the batch.</summary>
    public void Gather(int row, float[] input) => input.CopyTo(_input, row * _model.InputLength);

    public void Run(int count)
    {
        if (_session is null)
        {
            _model.Device!.Run(count);
        }
        else
        {
            _session.RunWithBinding(_runOptions, _bindings[count] ??= Bind(_session, count));
        }
    }

    /// <summary>Copies one answer out of the batch.</summary>
    public float[] Scatter(int row) => _output.AsSpan(row * _model.OutputLength, _model.OutputLength).ToArray();

    /// <summary>Runs every batch size, so that none is met cold.</summary>
    public void WarmUp()
    {
        for (var count = 1; count < _bindings.Length; count++)
        {
            Run(count);
        }
    }

    public void Dispose()
    {
        foreach (var binding in _bindings)
        {
            binding?.Dispose();
        }
        _bound.ForEach(value => value.Dispose());
        _runOptions.Dispose();
        _session?.Dispose();
    }

    private OrtIoBinding Bind(InferenceSession session, int count)
    {
        var binding = session.CreateIoBinding();
        binding.BindInput(_model.InputName, Over(_input, count, _model.InputLength, _model.InputShape));
        binding.BindOutput(_model.OutputName, Over(_output, count, _model.OutputLength, _model.OutputShape));
        return binding;
    }

    private OrtValue Over(float[] memory, int count, int itemLength, long[] itemShape)
    {
        var value = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, memory.AsMemory(0, count * itemLength), [count, .. itemShape]);
        _bound.Add(value);
        return value;
    }
}
