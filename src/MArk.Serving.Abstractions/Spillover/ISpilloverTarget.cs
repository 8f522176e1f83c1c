namespace MArk.Serving;

/// <summary>Where a request goes that the fleet cannot finish in time: a serverless function, usually.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface ISpilloverTarget<TIn, TOut>
{
    /// <summary>Makes the target ready, once, at start; a first quote must be possible afterwards.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When it is ready.</returns>
    ValueTask InitializeAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>
    /// What the target would do for one more request now: a snapshot, without I/O. Called from any thread. It knows of the requests for which
    /// <see cref="InferAsync"/> has returned its task, and the engine subtracts those that it was not given yet.
    /// </summary>
    /// <returns>Latency, price and free concurrency.</returns>
    SpilloverQuote GetQuote();

    /// <summary>Runs requests outside the fleet and answers every index through the sink before it returns.</summary>
    /// <param name="batch">The inputs; valid until the returned task ends.</param>
    /// <param name="sink">Takes the answers.</param>
    /// <param name="cancellationToken">Cancelled when the host stops hard.</param>
    /// <returns>When the batch is done. An exception hands the unanswered requests back to the fleet.</returns>
    ValueTask InferAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken);
}

/// <summary>What a spillover target would do for one more request.</summary>
public readonly record struct SpilloverQuote
{
    /// <summary>How long a warm environment takes.</summary>
    public required LatencyQuantiles Warm { get; init; }

    /// <summary>How long an environment takes that must start first; the same as <see cref="Warm"/> where there is no such thing.</summary>
    public required LatencyQuantiles Cold { get; init; }

    /// <summary>How many more requests may be sent now.</summary>
    public required int FreeConcurrency { get; init; }

    /// <summary>How many of those would find a warm environment.</summary>
    public int WarmConcurrency { get; init; }

    /// <summary>The part of the price that a call costs whatever it carries, US dollars.</summary>
    public decimal PricePerCall { get; init; }

    /// <summary>The part of the price that every request of a call adds, US dollars.</summary>
    public decimal PricePerRequest { get; init; }

    /// <summary>How long the quote may be used; afterwards a fresh one is asked for.</summary>
    public TimeSpan ValidFor { get; init; }

    /// <summary>What a call with some requests costs, US dollars.</summary>
    /// <param name="batchSize">How many requests.</param>
    /// <returns>The price.</returns>
    public decimal Price(int batchSize) => PricePerCall + batchSize * PricePerRequest;
}

/// <summary>Three quantiles of a latency.</summary>
/// <param name="P50">Half are faster.</param>
/// <param name="P95">95 % are faster.</param>
/// <param name="P99">99 % are faster.</param>
public readonly record struct LatencyQuantiles(TimeSpan P50, TimeSpan P95, TimeSpan P99)
{
    /// <summary>A latency that does not vary.</summary>
    /// <param name="latency">The latency.</param>
    /// <returns>The same for every quantile.</returns>
    public static LatencyQuantiles Constant(TimeSpan latency) => new(latency, latency, latency);
}
