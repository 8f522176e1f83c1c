using System.Buffers;
using System.Text.Json;
using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Client;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

// The start, and environments that are started before they are needed.
internal sealed partial class LambdaSpilloverTarget<TIn, TOut>
{
    private const int MeasuredCalls = 9;
    private const int MostRounds = 3;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    /// <summary>Learns what tensors the model in the function has, and measures it.</summary>
    /// <exception cref="LambdaSpilloverException">The function does not answer; says why.</exception>
    /// <exception cref="ModelLoadException">The function does not have the model.</exception>
    public async ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        var model = _options.Model ?? _modelName;
        var start = _time.GetTimestamp();
        for (var pause = FirstRetry; ; pause = pause * 2 < LongestRetry ? pause * 2 : LongestRetry)
        {
            try
            {
                await StartAsync(model, cancellationToken).ConfigureAwait(false);
                var quote = GetQuote();
                LambdaLog.Ready(_logger, _modelName, _options.FunctionName, quote.Warm.P50, quote.PricePerRequest);
                return;
            }
            catch (LambdaSpilloverException e) when ((e.IsTransient || e.Failure is LambdaFailure.Throttled or LambdaFailure.Busy) && _time.GetElapsedTime(start) + pause < _options.ReadyTimeout)
            {
                await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(false);
            }
            catch (LambdaSpilloverException e) when (e.Failure == LambdaFailure.NoSuchModel)
            {
                throw new ModelLoadException(model, e.Message, e);
            }
            catch (WireFormatException e)
            {
                throw new ModelLoadException(model, $"Lambda function '{_options.FunctionName}' says of it what is no description of a model: {e.Message}", e);
            }
        }
    }

    public async ValueTask PrewarmAsync(int concurrency, CancellationToken cancellationToken)
    {
        var function = _function.Value;
        var sent = 0;
        List<Exception> errors = [];
        // Those that are warm take pings too, and faster: what they took from the cold is made up for in another round.
        for (var round = 0; round < MostRounds && errors.Count == 0 && function.Pause == TimeSpan.Zero; round++)
        {
            var pings = TakeFreeCalls(concurrency);
            if (pings == 0 || function.WarmEnvironments >= Math.Min(concurrency, pings))
            {
                EndCalls(pings);
                break;
            }
            sent += pings;
            // All at once, so that each meets an environment of its own.
            await Task.WhenAll(Enumerable.Range(0, pings).Select(_ => PingAsync(errors, cancellationToken))).ConfigureAwait(false);
        }
        LambdaLog.Prewarmed(_logger, _options.FunctionName, function.WarmEnvironments, sent);
        if (errors.Count > 0)
        {
            throw errors[0];
        }
    }

    private async Task StartAsync(string model, CancellationToken cancellationToken)
    {
        var path = $"/{RestNames.ModelPath(model, _options.Version)}";
        if (_bound is null)
        {
            var signature = _options.Signature ?? await ReadSignatureAsync(path, cancellationToken).ConfigureAwait(false);
            _codec.Bind(signature);
            _bound = new ItemShapes<TIn, TOut>(signature, _codec);
        }
        if (_codec.TryCreateSample(out var sample))
        {
            await MeasureAsync(sample, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            // Nothing can be inferred yet: what a call takes without is a first word on it, but for the first call, which may have had to wait for a start.
            if (_options.Signature is not null)
            {
                (await AskAsync(path, cancellationToken).ConfigureAwait(false)).Dispose();
            }
            (await AskAsync(path, cancellationToken).ConfigureAwait(false)).Dispose();
        }
    }

    private async Task MeasureAsync(TIn sample, CancellationToken cancellationToken)
    {
        var memory = TakeMemory();
        if (memory.Write(new[] { sample }) is var size && size > _options.MaxPayloadBytes)
        {
            throw TooLarge(size);
        }
        for (var i = 0; i < MeasuredCalls; i++)
        {
            if (i == 1)
            {
                // The first may have had to wait for a start, or is slow as first inferences are.
                _function.Value.Restart();
            }
            using var answer = await _function.Value.CallAsync(memory.Event, 1, cancellationToken).ConfigureAwait(false);
            using var message = _reader.ReadResponse(answer.Body, answer.HeaderLength);
            TensorMatch.Order(message.Tensors, _bound!.Signature.Outputs, "outputs", out _);
        }
        lock (_gate)
        {
            _memories.Push(memory);
        }
    }

    private async Task<ModelSignature> ReadSignatureAsync(string path, CancellationToken cancellationToken)
    {
        using var answer = await AskAsync(path, cancellationToken).ConfigureAwait(false);
        try
        {
            return (JsonSerializer.Deserialize(answer.Body.Span, RestJson.Default.ModelMetadataDocument) ?? throw new WireFormatException("body", "it is null.")).ToSignature();
        }
        catch (JsonException e)
        {
            throw new WireFormatException("body", $"it is no description of a model: {e.Message}", e);
        }
    }

    private async Task PingAsync(List<Exception> errors, CancellationToken cancellationToken)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
            (await AskAsync("/v2/health/live", either.Token).ConfigureAwait(false)).Dispose();
        }
        catch (Exception e)
        {
            lock (errors)
            {
                errors.Add(e);
            }
        }
        finally
        {
            EndCalls(1);
        }
    }

    private async Task<LambdaAnswer> AskAsync(string path, CancellationToken cancellationToken)
    {
        var payload = new ArrayBufferWriter<byte>(512);
        LambdaEvent.WriteGet(payload, path, _options.ApiKey);
        return await _function.Value.CallAsync(payload.WrittenMemory, 0, cancellationToken).ConfigureAwait(false);
    }

    private int TakeFreeCalls(int count)
    {
        lock (_gate)
        {
            var taken = _isDisposed ? 0 : Math.Clamp(count, 0, _options.MaxConcurrency - _calls);
            _calls += taken;
            return taken;
        }
    }

    private void EndCalls(int count)
    {
        lock (_gate)
        {
            _calls -= count;
        }
        Pump();
    }
}
