using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Runs batches on one server: one call a batch, and as many calls at a time as there are slots.</summary>
internal sealed class RemoteBatchRunner<TIn, TOut> : IBatchRunner<TIn, TOut>
{
    // So many calls on end that a hedge answered before this server did say that it hangs.
    private const int MostOvertaken = 3;

    private readonly string _instance;
    private readonly IRemoteServer _server;
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
    private int _overtaken;
    private volatile bool _isDoubtful;

    /// <param name="instance">The instance's name, for messages.</param>
    /// <param name="server">The server, from now on this runner's own.</param>
    /// <param name="signature">The model's tensors.</param>
    /// <param name="codec">Maps requests to them and back.</param>
    /// <param name="options">How the server is spoken to.</param>
    /// <param name="loaded">What was loaded there, from now on held by this runner; nothing where the server had the model.</param>
    /// <param name="time">The clock.</param>
    /// <param name="runners">The others of the model.</param>
    public RemoteBatchRunner(
        string instance, IRemoteServer server, ModelSignature signature, ITensorCodec<TIn, TOut> codec, OpenInferenceOptions options, LoadedVersion? loaded, TimeProvider time, RemoteRunners<TIn, TOut> runners)
    {
        (_instance, _server, _signature, _options, _loaded, _time, _runners) = (instance, server, signature, options, loaded, time, runners);
        _timeouts = new CallTimeouts(options.LeastCallTimeout, options.CallTimeout);
        _free = new(Enumerable.Range(0, options.PipelineDepth).Select(_ => new WireBatch<TIn, TOut>(signature, codec)));
        runners.Add(this);
    }

    public int MaxBatchSize => Math.Min(_options.MaxBatchSize, _signature.MaxBatchSize);

    public int Slots => _options.PipelineDepth;

    /// <summary>Whether its last call failed: it is not asked for a favour.</summary>
    public bool IsDoubtful => _isDoubtful;

    /// <summary>How many calls are under way.</summary>
    public int Calls => Volatile.Read(ref _calls);

    public async ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var memory = Take();
        try
        {
            memory.Gather(batch);
            using var answer = _options.HedgeAfter is { } after
                ? await CallHedgedAsync(memory.Tensors, batch.Count, after, cancellationToken).ConfigureAwait(false)
                : await CallAsync(memory.Tensors, batch.Count, cancellationToken).ConfigureAwait(false);
            Scatter(memory, answer, batch.Count, sink);
            if (Volatile.Read(ref _overtaken) >= MostOvertaken)
            {
                // All of the batch is answered, by others.
                Interlocked.Exchange(ref _overtaken, 0);
                throw Fault($"{MostOvertaken} calls on end were not answered before other servers answered them.");
            }
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
        if (_loaded is not null)
        {
            await _loaded.ReleaseAsync(_server, _options, _time, _runners.Report).ConfigureAwait(false);
        }
        _server.Dispose();
        _ended.Dispose();
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
    private async Task<InferMessage> CallAsync(IReadOnlyList<WireTensor> inputs, int size, CancellationToken cancellationToken)
    {
        var timeout = _timeouts.For(size);
        using var late = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        var start = _time.GetTimestamp();
        Interlocked.Increment(ref _calls);
        try
        {
            var answer = await _server.InferAsync(inputs, _signature.Outputs, either.Token).ConfigureAwait(false);
            _timeouts.OnAnswered(size, _time.GetElapsedTime(start));
            Interlocked.Exchange(ref _overtaken, 0);
            _isDoubtful = false;
            return answer;
        }
        catch (RemoteServerException e) when (e.Kind == RefusalKind.Request)
        {
            throw new ServingException($"Server '{_instance}' refused the batch: {e.Message}", e);
        }
        catch (RemoteServerException e)
        {
            if (e.Kind == RefusalKind.NoSuchModel)
            {
                LoadAgain();
            }
            throw Fault(e.Message, e, e.BusyFor);
        }
        catch (Exception e) when (e is WireFormatException or HttpRequestException or IOException or ObjectDisposedException)
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
    private async Task<InferMessage> CallHedgedAsync(IReadOnlyList<WireTensor> inputs, int size, TimeSpan after, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var first = CallAsync(inputs, size, enough.Token);
        if (await EndsWithinAsync(first, after, enough.Token).ConfigureAwait(false) || _runners.LeastBusyBut(this) is not { } other)
        {
            return await first.ConfigureAwait(false);
        }
        var second = other.CallAsync(inputs, size, enough.Token);
        var quicker = await Task.WhenAny(first, second).ConfigureAwait(false);
        var slower = quicker == first ? second : first;
        if (!quicker.IsCompletedSuccessfully && quicker.Exception?.InnerException is InstanceFailedException)
        {
            // The other may still do it.
            (quicker, slower) = (slower, quicker);
            await ((Task)quicker).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (quicker == second && quicker.IsCompletedSuccessfully && !first.IsCompleted)
        {
            Interlocked.Increment(ref _overtaken);
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
                _loading = LoadAgainAsync(artifact);
            }
        }
    }

    private async Task LoadAgainAsync(ModelArtifact artifact)
    {
        using var late = new CancellationTokenSource(_options.ReadyTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, _ended.Token);
        try
        {
            await _server.LoadAsync(artifact, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (RemoteServers.IsFailure(e) && !_ended.IsCancellationRequested)
        {
            _runners.Report(Failure($"it has lost the model and cannot load it again: {e.Message}", e));
        }
    }

    private InstanceFailedException Fault(string message, Exception? inner = null, TimeSpan? busyFor = null)
    {
        _isDoubtful = true;
        return Failure(message, inner, busyFor);
    }

    private InstanceFailedException Failure(string message, Exception? inner, TimeSpan? busyFor = null) => new($"Server '{_instance}' of model '{_options.Model}': {message}", inner) { BusyFor = busyFor };

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

    /// <summary>Another server that answers, with the fewest calls under way, if there is one.</summary>
    public RemoteBatchRunner<TIn, TOut>? LeastBusyBut(RemoteBatchRunner<TIn, TOut> self)
    {
        lock (_gate)
        {
            return _runners.Where(r => r != self && !r.IsDoubtful).MinBy(r => r.Calls);
        }
    }
}
