namespace MArk.Serving.Provisioning;

/// <summary>How long to wait before the next try: doubled with each failure, and between half and the whole of that by a seeded draw.</summary>
internal sealed class RetryDelays(TimeSpan first, TimeSpan longest, int seed)
{
    private readonly Random _jitter = new(seed);

    /// <summary>The wait after a failure.</summary>
    /// <param name="failures">How many there were before it.</param>
    public TimeSpan After(int failures)
    {
        var seconds = Math.Min(longest.TotalSeconds, first.TotalSeconds * Math.Pow(2, Math.Min(failures, 30)));
        return TimeSpan.FromSeconds(seconds * (0.5 + 0.5 * _jitter.NextDouble()));
    }
}
