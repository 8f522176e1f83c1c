namespace MArk.Serving.Spillover;

/// <summary>What a quote's values are taken for where a target names impossible ones.</summary>
internal static class QuoteBounds
{
    // For ever, and yet any time can be added to it.
    private static readonly TimeSpan Longest = TimeSpan.MaxValue / 2;

    /// <summary>What a quote says that cannot be; nothing if all of it can.</summary>
    public static string? Violation(in SpilloverQuote quote)
    {
        if (IsNegative(quote.Warm) || IsNegative(quote.Cold))
        {
            return $"has a quote of {quote.Warm} where it is warm and of {quote.Cold} where it is cold; no latency is less than zero.";
        }
        return quote.FreeConcurrency < 0 || quote.WarmConcurrency < 0
            ? $"has a quote of {quote.FreeConcurrency} more requests, {quote.WarmConcurrency} of them warm; accepted are 0 and more." : null;
    }

    /// <summary>The nearest quote that can be reckoned with.</summary>
    public static SpilloverQuote Clamp(in SpilloverQuote quote) => quote with
    {
        Warm = Clamp(quote.Warm),
        Cold = Clamp(quote.Cold),
        FreeConcurrency = Math.Max(0, quote.FreeConcurrency),
        WarmConcurrency = Math.Max(0, quote.WarmConcurrency),
    };

    private static bool IsNegative(in LatencyQuantiles latency) => latency.P50 < TimeSpan.Zero || latency.P95 < TimeSpan.Zero || latency.P99 < TimeSpan.Zero;

    private static LatencyQuantiles Clamp(in LatencyQuantiles latency) => new(Clamp(latency.P50), Clamp(latency.P95), Clamp(latency.P99));

    private static TimeSpan Clamp(TimeSpan latency) => latency < TimeSpan.Zero ? TimeSpan.Zero : latency > Longest ? Longest : latency;
}
