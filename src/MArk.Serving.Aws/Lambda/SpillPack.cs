using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Client;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

/// <summary>A request that was spilled, on its way to an answer.</summary>
internal sealed class Spill<TIn, TOut>(TIn input, ItemSize size, long arrived, IBatchSink<TOut> sink, int index, CancellationToken cancellation)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TIn Input { get; } = input;

    /// <summary>Those with different keys never share a call: their shapes differ.</summary>
    public long Key { get; } = size.Key;

    /// <summary>Of its numbers. Kept, since the input is its caller's, who may change it while it waits: it is not asked again under the target's lock.</summary>
    public long Bytes { get; } = size.Numbers;

    public long Arrived { get; } = arrived;

    /// <summary>Takes the answer.</summary>
    public IBatchSink<TOut> Sink { get; } = sink;

    /// <summary>Its index there.</summary>
    public int Index { get; } = index;

    public CancellationToken Cancellation { get; } = cancellation;

    /// <summary>Ends with it: with an exception where it was not answered.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Its sink has the answer.</summary>
    public void Complete() => _ended.TrySetResult();

    /// <summary>It is at fault: its caller gets the error.</summary>
    public void Fail(Exception error)
    {
        Sink.SetError(Index, error);
        Complete();
    }

    /// <summary>It goes back to the fleet.</summary>
    public void GiveBack(Exception error) => _ended.TrySetException(error);
}

/// <summary>Takes the answers of a call for the requests that share it.</summary>
internal sealed class PackSink<TIn, TOut>(ReadOnlyMemory<Spill<TIn, TOut>> pack) : IBatchSink<TOut>
{
    public void SetResult(int index, TOut result)
    {
        var spill = pack.Span[index];
        spill.Sink.SetResult(spill.Index, result);
        spill.Complete();
    }

    public void SetError(int index, Exception error) => pack.Span[index].Fail(error);

    public bool TryGetDestination(int index, [MaybeNullWhen(false)] out TOut destination) => pack.Span[index].Sink.TryGetDestination(pack.Span[index].Index, out destination);
}

/// <summary>The memory of a call: the event with the requests that share it, and what their answers are read with.</summary>
internal sealed class PackMemory<TIn, TOut>(ModelSignature signature, ITensorCodec<TIn, TOut> codec, LambdaSpilloverOptions options, string path)
{
    private readonly WireBatch<TIn, TOut> _batch = new(signature, codec);
    private readonly ArrayBufferWriter<byte> _header = new(1024);
    private readonly ArrayBufferWriter<byte> _event = new(4096);

    public ReadOnlyMemory<byte> Event => _event.WrittenMemory;

    /// <summary>Writes the event.</summary>
    /// <returns>How many bytes it has; where they are more than an event may have, it may not be there.</returns>
    public long Write(ReadOnlyMemory<TIn> inputs)
    {
        var isBinary = options.Form == OpenInferenceForm.RestBinary;
        _batch.Gather(new RequestBatch<TIn>(inputs));
        _header.ResetWrittenCount();
        _event.ResetWrittenCount();
        InferMessageWriter.WriteRequest(_header, _batch.Tensors, signature.Outputs, isBinary);
        var least = isBinary ? LambdaEvent.EncodedLength(_header.WrittenCount + _batch.Tensors.Sum(t => (long)t.Data.Length)) : _header.WrittenCount;
        if (least <= options.MaxPayloadBytes)
        {
            LambdaEvent.WriteInfer(_event, path, options.ApiKey, _header.WrittenSpan, isBinary ? _batch.Tensors : []);
        }
        return Math.Max(least, _event.WrittenCount);
    }

    /// <summary>Answers the requests.</summary>
    /// <exception cref="WireFormatException">It is no answer to them.</exception>
    public void Scatter(LambdaAnswer answer, InferMessageReader reader, ReadOnlyMemory<Spill<TIn, TOut>> pack)
    {
        using var message = reader.ReadResponse(answer.Body, answer.HeaderLength);
        _batch.Scatter(message, pack.Length, new PackSink<TIn, TOut>(pack));
    }
}
