using System.Collections.Concurrent;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>No batching: every request is a run of its own on the one session, as many at a time as there are instances, which all others have as well.</summary>
internal sealed class NaiveServer : IServer
{
    private readonly BenchmarkModel _model;
    private readonly InferenceSession? _session;     // none for a device
    private readonly RunOptions _runOptions = new();
    private readonly BlockingCollection<PendingRequest> _requests = [];
    private readonly Thread[] _threads;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly long[] _shape;
    private volatile bool _refuses;

    public NaiveServer(BenchmarkModel model, int instances)
    {
        _model = model;
        _session = model.Device is null ? model.OpenSession() : null;
        _inputNames = [model.InputName];
        _outputNames = [model.OutputName];
        _shape = [1, .. model.InputShape];
        _threads = [.. Enumerable.Range(0, instances).Select(_ => new Thread(RunAll) { IsBackground = true, Name = InstanceCoresKeeper.BareThreads + "runs" })];
        foreach (var thread in _threads)
        {
            thread.Start();
        }
    }

    public string Name => "naive Run";

    public bool RefusesWaiting
    {
        get => _refuses;
        set => _refuses = value;
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input)
    {
        var request = new PendingRequest(input);
        _requests.Add(request);
        return request.Answer;
    }

    public ValueTask DisposeAsync()
    {
        _requests.CompleteAdding();
        foreach (var thread in _threads)
        {
            thread.Join();
        }
        _requests.Dispose();
        _session?.Dispose();
        _runOptions.Dispose();
        return ValueTask.CompletedTask;
    }

    private void RunAll()
    {
        foreach (var request in _requests.GetConsumingEnumerable())
        {
            if (_refuses)
            {
                request.Refuse();
            }
            else
            {
                request.SetResult(Run(request.Input));
            }
        }
    }

    private float[] Run(float[] input)
    {
        if (_session is null)
        {
            _model.Device!.Run(1);
            return new float[_model.OutputLength];
        }
        using var value = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, input.AsMemory(), _shape);
        using var outputs = _session.Run(_runOptions, _inputNames, [value], _outputNames);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }
}
