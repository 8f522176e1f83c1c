using MArk.Serving.OpenInference.Client;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Lambda;

/// <summary>
/// Runs requests in a Lambda function: one a call, or as many as make a request cheapest by what calls took, and as many calls at a time as the options allow. What the function cannot answer goes
/// back to the fleet; a request that is at fault fails alone.
/// </summary>
internal sealed partial class LambdaSpilloverTarget<TIn, TOut> : ISpilloverTarget<TIn, TOut>, IPrewarmable, IAsyncDisposable
{
    // Calls that change the quote are not all told to who asked for it.
    private static readonly TimeSpan QuoteLifetime = TimeSpan.FromSeconds(1);

    private readonly string _modelName;
    private readonly LambdaSpilloverOptions _options;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lazy<LambdaFunction> _function;
    private readonly SpillQueue<TIn, TOut> _queue = new();
    private readonly Stack<PackMemory<TIn, TOut>> _memories = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _gate = new();
    private readonly ITimer _packTimer;
    private volatile ItemShapes<TIn, TOut>? _bound;      // to the tensors of the model in the function
    private int _calls;
    private bool _isDisposed;

    /// <param name="modelName">The model here.</param>
    /// <param name="options">The function.</param>
    /// <param name="codec">Maps requests to tensors and back.</param>
    /// <param name="slo">The model's objective.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Is told of what fails beside the requests.</param>
    /// <param name="random">The jitter of pauses; nothing for one that is seeded by the model's name.</param>
    public LambdaSpilloverTarget(string modelName, LambdaSpilloverOptions options, ITensorCodec<TIn, TOut> codec, TimeSpan slo, TimeProvider time, ILogger logger, Random? random = null)
    {
        (_modelName, _options, _codec, _time, _logger) = (modelName, options, codec, time, logger);
        // Where the region is not known, or no credentials are there, the model's start fails, and not the making of its parts.
        _function = new(() => new LambdaFunction(options, slo, random ?? new Random(SeedOf(modelName)), time, logger));
        _packTimer = OwnContext.CreateTimer(time, Pump);
    }

    public SpilloverQuote GetQuote()
    {
        int calls, waiting;
        lock (_gate)
        {
            (calls, waiting) = (_calls, _queue.Count);
        }
        return _function.Value.Quote(_bound is null ? 0 : _options.MaxConcurrency - calls, waiting, QuoteLifetime);
    }

    public async ValueTask InferAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var bound = _bound ?? throw new InvalidOperationException("It was not initialized.");
        var spills = new Spill<TIn, TOut>[batch.Count];
        for (var i = 0; i < spills.Length; i++)
        {
            // The fleet's version may take other inputs than the function's.
            _codec.Validate(batch[i]);
            spills[i] = new Spill<TIn, TOut>(batch[i], bound.Of(batch[i]), _time.GetTimestamp(), sink, i, cancellationToken);
        }
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _queue.Add(spills);
        }
        await using var withdrawal = cancellationToken.UnsafeRegister(static target => ((LambdaSpilloverTarget<TIn, TOut>)target!).GiveUpCancelled(), this).ConfigureAwait(false);
        Pump();
        // All have ended before anything is thrown: the inputs and the sink are the caller's again afterwards.
        foreach (var spill in spills)
        {
            await spill.Ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        foreach (var spill in spills)
        {
            await spill.Ended.ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Spill<TIn, TOut>[] left;
        lock (_gate)
        {
            _isDisposed = true;
            left = _queue.Take(onlyCancelled: false);
        }
        GiveBack(left, new ObjectDisposedException(nameof(LambdaSpilloverTarget<TIn, TOut>)));
        await _ended.CancelAsync().ConfigureAwait(false);
        await _packTimer.DisposeAsync().ConfigureAwait(false);
        if (_function.IsValueCreated)
        {
            _function.Value.Dispose();
        }
    }

    private void GiveUpCancelled()
    {
        Spill<TIn, TOut>[] cancelled;
        lock (_gate)
        {
            cancelled = _queue.Take(onlyCancelled: true);
        }
        GiveBack(cancelled, new OperationCanceledException());
    }

    private static void GiveBack(ReadOnlySpan<Spill<TIn, TOut>> spills, Exception error)
    {
        foreach (var spill in spills)
        {
            spill.GiveBack(error);
        }
    }

    /// <summary>The same on each run (FNV-1a), unlike a string's hash code.</summary>
    private static int SeedOf(string name) => name.Aggregate(unchecked((int)2166136261), (hash, c) => unchecked((hash ^ c) * 16777619));
}
