using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>No batching: every caller runs the one session itself, as many at a time as there are instances.</summary>
internal sealed class NaiveServer : IServer
{
    private readonly BenchmarkModel _model;
    private readonly InferenceSession? _session;     // none for a device
    private readonly RunOptions _runOptions = new();
    private readonly SemaphoreSlim _free;
    private readonly int _instances;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly long[] _shape;
    private volatile bool _refuses;

    public NaiveServer(BenchmarkModel model, int instances)
    {
        (_model, _instances) = (model, instances);
        _session = model.Device is null ? model.OpenSession() : null;
        _free = new SemaphoreSlim(instances);
        _inputNames = [model.InputName];
        _outputNames = [model.OutputName];
        _shape = [1, .. model.InputShape];
    }

    public string Name => "naive Run";

    public bool RefusesWaiting
    {
        get => _refuses;
        set => _refuses = value;
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => new(Task.Run(() => RunAsync(input)));

    public ValueTask DisposeAsync()
    {
        _session?.Dispose();
        _runOptions.Dispose();
        _free.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<InferenceResult<float[]>> RunAsync(float[] input)
    {
        await _free.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_refuses)
            {
                return InferenceResult<float[]>.Cancellation();
            }
            return InstanceCores.Run(_instances, () => Run(input));
        }
        finally
        {
            _free.Release();
        }
    }

    private InferenceResult<float[]> Run(float[] input)
    {
        if (_session is null)
        {
            _model.Device!.Run(1);
            return InferenceResult<float[]>.Success(new float[_model.OutputLength]);
        }
        using var value = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, input.AsMemory(), _shape);
        using var outputs = _session.Run(_runOptions, _inputNames, [value], _outputNames);
        return InferenceResult<float[]>.Success(outputs[0].GetTensorDataAsSpan<float>().ToArray());
    }
}
