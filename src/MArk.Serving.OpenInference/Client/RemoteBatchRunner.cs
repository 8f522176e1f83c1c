using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Runs batches on one server: one call a batch, and as many calls at a time as there are slots.</summary>
internal sealed class RemoteBatchRunner<TIn, TOut> : IBatchRunner<TIn, TOut>
{
    private static readonly TimeSpan UnloadTimeout = TimeSpan.FromSeconds(2);

    private readonly string _instance;
    private readonly IModelServer _server;
    private readonly ModelSignature _signature;
    private readonly OpenInferenceOptions _options;
    private readonly TimeProvider _time;
    private readonly RemoteRunners<TIn, TOut> _runners;
    private readonly CallTimeouts _timeouts;
    private readonly Stack<WireBatch<TIn, TOut>> _free;
    private readonly LoadedVersion? _loaded;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _gate = new();
    private Task _loading = Task.CompletedTask;
    private int _calls;

    /// <param name="instance">The instance's name, for messages.</param>
    /// <param name="server">The server, from now on this runner's own.</param>
    /// <param name="signature">The model's tensors.</param>
    /// <param name="codec">Maps requests to them and back.</param>
    /// <param name="options">How the server is spoken to.</param>
    /// <param name="loaded">What was loaded there, from now on held by this runner; nothing where the server had the model.</param>
    /// <param name="time">The clock.</param>
    /// <param name="runners">The others of the model.</param>
    public RemoteBatchRunner(
        string instance, IModelServer server, ModelSignature signature, ITensorCodec<TIn, TOut> codec, OpenInferenceOptions options, LoadedVersion? loaded, TimeProvider time, RemoteRunners<TIn, TOut> runners)
    {
        (_instance, _server, _signature, _options, _loaded, _time, _runners) = (instance, server, signature, options, loaded, time, runners);
        _timeouts = new CallTimeouts(options.LeastCallTimeout, options.CallTimeout);
        _free = new(Enumerable.Range(0, options.PipelineDepth).Select(_ => new WireBatch<TIn, TOut>(signature, codec)));
        runners.Add(this);
    }

    public int MaxBatchSize => Math.Min(_options.MaxBatchSize, _signature.MaxBatchSize);

    public int Slots => _options.PipelineDepth;

    /// <summary>How many calls are under way.</summary>
    public int Calls => Volatile.Read(ref _calls);

    public async ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var memory = Take();
        try
        {
            memory.Gather(batch);
            using var answer = _options.HedgeAfter is { } after
                ? await CallHedgedAsync(memory.Tensors, after, cancellationToken).ConfigureAwait(false)
                : await CallAsync(memory.Tensors, cancellationToken).ConfigureAwait(false);
            Scatter(memory, answer, batch.Count, sink);
        }
        finally
        {
            lock (_gate)
            {
                _free.Push(memory);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _runners.Remove(this);
        await _ended.CancelAsync().ConfigureAwait(false);
        await _loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            if (_options.Artifact is { } artifact && _loaded!.Release())
            {
                using var giveUp = new CancellationTokenSource(UnloadTimeout, _time);
                await _server.UnloadAsync(artifact, giveUp.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is ServerException or WireFormatException or OperationCanceledException or HttpRequestException or IOException)
        {
            // The server is gone, or has let go of the model: there is nothing left to unload.
            _runners.Report(new ServingException($"Model '{_options.Model}' was not unloaded from '{_instance}': {e.Message}", e));
        }
        finally
        {
            _server.Dispose();
            _ended.Dispose();
        }
    }

    private void Scatter(WireBatch<TIn, TOut> memory, InferMessage answer, int count, IBatchSink<TOut> sink)
    {
        try
        {
            memory.Scatter(answer, count, sink);
        }
        catch (WireFormatException e)
        {
            throw Fault($"its answer is not what was asked for: {e.Message}", e);
        }
    }

    /// <summary>One call, given up when the server seems to hang.</summary>
    private async Task<InferMessage> CallAsync(IReadOnlyList<WireTensor> inputs, CancellationToken cancellationToken)
    {
        var timeout = _timeouts.Current;
        using var late = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        var start = _time.GetTimestamp();
        Interlocked.Increment(ref _calls);
        try
        {
            var answer = await _server.InferAsync(inputs, _signature.Outputs, either.Token).ConfigureAwait(false);
            _timeouts.OnAnswered(_time.GetElapsedTime(start));
            return answer;
        }
        catch (ServerException e) when (e.Kind == RefusalKind.Request)
        {
            throw new ServingException($"Server '{_instance}' refused the batch: {e.Message}", e);
        }
        catch (ServerException e)
        {
            if (e.Kind == RefusalKind.NoSuchModel)
            {
                LoadAgain();
            }
            throw Fault(e.Message, e);
        }
        catch (Exception e) when (e is WireFormatException or HttpRequestException or IOException)
        {
            throw Fault($"its answer is broken: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            _timeouts.OnGivenUp();
            throw Fault($"it did not answer within {timeout}.", e);
        }
        finally
        {
            Interlocked.Decrement(ref _calls);
        }
    }

    /// <summary>A call that another server gets too, if this one does not answer soon; the first answer counts, and the other call is given up.</summary>
    private async Task<InferMessage> CallHedgedAsync(IReadOnlyList<WireTensor> inputs, TimeSpan after, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var first = CallAsync(inputs, enough.Token);
        if (await EndsWithinAsync(first, after, enough.Token).ConfigureAwait(false) || _runners.LeastBusyBut(this) is not { } other)
        {
            return await first.ConfigureAwait(false);
        }
        var second = other.CallAsync(inputs, enough.Token);
        var quicker = await Task.WhenAny(first, second).ConfigureAwait(false);
        var slower = quicker == first ? second : first;
        if (!quicker.IsCompletedSuccessfully)
        {
            // The other may still do it.
            (quicker, slower) = (slower, quicker);
            await ((Task)quicker).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        await enough.CancelAsync().ConfigureAwait(false);
        // Both read the same memory: it is not used again before both have ended.
        await ((Task)slower).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (slower.IsCompletedSuccessfully)
        {
            (await slower.ConfigureAwait(false)).Dispose();
        }
        return await quicker.ConfigureAwait(false);
    }

    private async Task<bool> EndsWithinAsync(Task task, TimeSpan time, CancellationToken cancellationToken)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var isFirst = await Task.WhenAny(task, Task.Delay(time, _time, waiting.Token)).ConfigureAwait(false) == task;
        await waiting.CancelAsync().ConfigureAwait(false);
        return isFirst;
    }

    /// <summary>A server that was started anew has nothing: it is told again what to load, and passes a probe once it has.</summary>
    private void LoadAgain()
    {
        if (_options.Artifact is not { } artifact)
        {
            return;
        }
        lock (_gate)
        {
            if (_loading.IsCompleted && !_ended.IsCancellationRequested)
            {
                _loading = LoadAgainAsync(artifact, _ended.Token);
            }
        }
    }

    private async Task LoadAgainAsync(ModelArtifact artifact, CancellationToken cancellationToken)
    {
        try
        {
            await _server.LoadAsync(artifact, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ServerException or WireFormatException or HttpRequestException or IOException)
        {
            _runners.Report(Fault($"it has lost the model and cannot load it again: {e.Message}", e));
        }
    }

    private InstanceFailedException Fault(string message, Exception inner) => new($"Server '{_instance}' of model '{_options.Model}': {message}", inner);

    private WireBatch<TIn, TOut> Take()
    {
        lock (_gate)
        {
            return _free.TryPop(out var memory)
                ? memory
                : throw new InvalidOperationException($"More calls at once than the {_options.PipelineDepth} that may be under way (PipelineDepth).");
        }
    }
}

/// <summary>The servers that a model is connected to.</summary>
internal sealed class RemoteRunners<TIn, TOut>(Action<ServingException> report)
{
    private readonly Lock _gate = new();
    private readonly List<RemoteBatchRunner<TIn, TOut>> _runners = [];

    public void Report(ServingException error) => report(error);

    public void Add(RemoteBatchRunner<TIn, TOut> runner)
    {
        lock (_gate)
        {
            _runners.Add(runner);
        }
    }

    public void Remove(RemoteBatchRunner<TIn, TOut> runner)
    {
        lock (_gate)
        {
            _runners.Remove(runner);
        }
    }

    /// <summary>Another server with the fewest calls under way, if there is one.</summary>
    public RemoteBatchRunner<TIn, TOut>? LeastBusyBut(RemoteBatchRunner<TIn, TOut> self)
    {
        lock (_gate)
        {
            return _runners.Where(r => r != self).MinBy(r => r.Calls);
        }
    }
}
