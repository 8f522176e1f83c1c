using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

// Which requests share a call, and what becomes of them.
internal sealed partial class LambdaSpilloverTarget<TIn, TOut>
{
    // What an event has around its tensors, about.
    private const int Envelope = 2048;

    private readonly InferMessageReader _reader = new(new WireLimits());

    /// <summary>Sends what can be sent now, and has itself called again for the rest: by the end of a call, or by the timer.</summary>
    private void Pump()
    {
        Spill<TIn, TOut>[] left = [];
        lock (_gate)
        {
            var function = _function.Value;
            while (_queue.Count > 0 && _calls < _options.MaxConcurrency && !_isDisposed)
            {
                if (function.Pause > TimeSpan.Zero)
                {
                    // The fleet can do more for them than waiting can.
                    left = _queue.Take(onlyCancelled: false);
                    break;
                }
                var most = MostOf(_queue.First);
                var count = Math.Min(_queue.CountLikeFirst(), most);
                var best = function.BestSize(most);
                var wait = _options.PackWait - _time.GetElapsedTime(_queue.First.Arrived);
                if (count < best && wait > TimeSpan.Zero)
                {
                    _packTimer.Change(wait, Timeout.InfiniteTimeSpan);
                    return;
                }
                _calls++;
                _ = RunAsync(_queue.TakeLikeFirst(count < best ? function.BestSize(count) : best));
            }
        }
        if (left.Length > 0)
        {
            GiveBack(left, _function.Value.Failure(LambdaFailure.Throttled, "it is left alone for a while, as it throttles."));
        }
    }

    /// <summary>How many requests like one may share a call.</summary>
    private int MostOf(Spill<TIn, TOut> spill)
    {
        var most = Math.Min(_options.MaxBatchSize, _bound!.Signature.MaxBatchSize);
        if (_options.Form == OpenInferenceForm.RestBinary && spill.Bytes is > 0 and var bytes)
        {
            // Texts, and numbers in JSON, are known by what they come to, when they are written.
            most = (int)Math.Min(most, Math.Max(0, _options.MaxPayloadBytes - Envelope) / LambdaEvent.EncodedLength(bytes));
        }
        return Math.Max(1, most);
    }

    private async Task RunAsync(Spill<TIn, TOut>[] pack)
    {
        // Off the thread that decided to spill: it is a caller's, or an instance's own.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await SendAsync(pack).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            GiveBack(pack, e);
        }
        finally
        {
            EndCalls(1);
        }
    }

    /// <summary>Sends requests in one call, and where that fails by what may be one request's fault, each in its own.</summary>
    private async Task SendAsync(ReadOnlyMemory<Spill<TIn, TOut>> pack)
    {
        var (error, isWritten) = await TrySendAsync(pack).ConfigureAwait(false);
        if (error is null)
        {
            return;
        }
        if (!isWritten && pack.Length > 1)
        {
            await SendEachAsync(pack).ConfigureAwait(false);
        }
        else if (error is not LambdaSpilloverException { IsOfRequest: true } failure)
        {
            GiveBack(pack.Span, error);
        }
        else if (pack.Length == 1 && failure.Failure == LambdaFailure.PayloadTooLarge)
        {
            // The limit is Lambda's: the fleet has none such, and would have served it at another time.
            GiveBack(pack.Span, failure);
        }
        else if (pack.Length == 1)
        {
            pack.Span[0].Fail(OfRequest(failure));
        }
        else if (failure.Failure == LambdaFailure.PayloadTooLarge)
        {
            // Less is known to fit: halves cost fewer calls than each alone.
            await SendAsync(pack[..(pack.Length / 2)]).ConfigureAwait(false);
            await SendAsync(pack[(pack.Length / 2)..]).ConfigureAwait(false);
        }
        else
        {
            LambdaLog.Divided(_logger, _options.FunctionName, pack.Length, failure);
            await SendEachAsync(pack).ConfigureAwait(false);
        }
    }

    private async Task SendEachAsync(ReadOnlyMemory<Spill<TIn, TOut>> pack)
    {
        for (var i = 0; i < pack.Length; i++)
        {
            await SendAsync(pack.Slice(i, 1)).ConfigureAwait(false);
        }
    }

    /// <returns>Why the requests were not answered, nothing if they were; and whether all of them could be written.</returns>
    private async Task<(Exception? Error, bool IsWritten)> TrySendAsync(ReadOnlyMemory<Spill<TIn, TOut>> pack)
    {
        var function = _function.Value;
        if (LeastOf(pack.Span) is var least && least > _options.MaxPayloadBytes)
        {
            // No memory is taken for it, which would be kept.
            return (TooLarge(least), true);
        }
        var memory = TakeMemory();
        var isWritten = false;
        try
        {
            var size = memory.Write(InputsOf(pack.Span));
            isWritten = true;
            if (size > _options.MaxPayloadBytes)
            {
                return (TooLarge(size), isWritten);
            }
            using var cancellation = CancellationOf(pack.Span);
            using var answer = await function.CallAsync(memory.Event, pack.Length, cancellation.Token).ConfigureAwait(false);
            memory.Scatter(answer, _reader, pack);
            return (null, isWritten);
        }
        catch (WireFormatException e)
        {
            return (function.Failure(LambdaFailure.BadAnswer, $"its answer is not what was asked for: {e.Message}", e), isWritten);
        }
        catch (Exception e)
        {
            return (e, isWritten);
        }
        finally
        {
            lock (_gate)
            {
                _memories.Push(memory);
            }
        }
    }

    /// <summary>How many bytes an event has at least, as far as that is known before it is written.</summary>
    private long LeastOf(ReadOnlySpan<Spill<TIn, TOut>> pack)
    {
        var bytes = 0L;
        foreach (var spill in pack)
        {
            bytes += _options.Form == OpenInferenceForm.RestBinary ? spill.Bytes : 0;
        }
        return LambdaEvent.EncodedLength(bytes);
    }

    private LambdaSpilloverException TooLarge(long size) =>
        _function.Value.Failure(LambdaFailure.PayloadTooLarge, FormattableString.Invariant($"the event has at least {size} bytes; accepted: {_options.MaxPayloadBytes}."));

    /// <summary>What the caller of a request gets that is at fault.</summary>
    private InferenceFailedException OfRequest(LambdaSpilloverException failure) =>
        new(_modelName, failure.Failure == LambdaFailure.RequestRefused ? $"it was refused. {failure.Message}" : failure.Message, failure);

    /// <summary>Ends a call early when its requests are given up. Where they are so by different tokens, it runs to its end: others may still want theirs.</summary>
    private CancellationTokenSource CancellationOf(ReadOnlySpan<Spill<TIn, TOut>> pack)
    {
        var token = pack[0].Cancellation;
        foreach (var spill in pack)
        {
            token = spill.Cancellation == token ? token : CancellationToken.None;
        }
        return CancellationTokenSource.CreateLinkedTokenSource(token, _ended.Token);
    }

    private static TIn[] InputsOf(ReadOnlySpan<Spill<TIn, TOut>> pack)
    {
        var inputs = new TIn[pack.Length];
        for (var i = 0; i < inputs.Length; i++)
        {
            inputs[i] = pack[i].Input;
        }
        return inputs;
    }

    private PackMemory<TIn, TOut> TakeMemory()
    {
        lock (_gate)
        {
            return _memories.TryPop(out var memory)
                ? memory
                : new PackMemory<TIn, TOut>(_bound!.Signature, _codec, _options, $"/{RestNames.ModelPath(_options.Model ?? _modelName, _options.Version)}/infer");
        }
    }
}
