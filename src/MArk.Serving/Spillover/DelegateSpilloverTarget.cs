using MArk.Serving.Engine;

namespace MArk.Serving.Spillover;

/// <summary>Spills to a function of the host's.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public sealed class DelegateSpilloverTarget<TIn, TOut> : ISpilloverTarget<TIn, TOut>
{
    private readonly BatchFunction<TIn, TOut> _function;
    private readonly Func<SpilloverQuote> _quote;
    private int _underWay;

    /// <summary>A target.</summary>
    /// <param name="function">Answers every index through the sink; called concurrently. An exception hands the unanswered requests back to the fleet.</param>
    /// <param name="quote">Latency, price and the <em>whole</em> concurrency: what is under way is subtracted here. Called from any thread; no I/O.</param>
    public DelegateSpilloverTarget(BatchFunction<TIn, TOut> function, Func<SpilloverQuote> quote)
    {
        ArgumentNullException.ThrowIfNull(function);
        ArgumentNullException.ThrowIfNull(quote);
        _function = function;
        _quote = quote;
    }

    /// <inheritdoc/>
    public SpilloverQuote GetQuote()
    {
        var quote = _quote();
        var underWay = Volatile.Read(ref _underWay);
        return quote with
        {
            FreeConcurrency = Math.Max(0, quote.FreeConcurrency - underWay),
            WarmConcurrency = Math.Max(0, quote.WarmConcurrency - underWay),
        };
    }

    /// <inheritdoc/>
    public async ValueTask InferAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _underWay);
        try
        {
            await _function(batch, sink, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
        }
    }
}
