namespace MArk.Serving;

/// <summary>How an instance serves at its capacity: batches of one size, back to back.</summary>
/// <param name="BatchSize">Requests in such a batch; at least 1.</param>
/// <param name="BatchTime">The mean time of such a batch; more than zero.</param>
/// <param name="Slack">How long a request may wait before its batch begins and still be in time: the objective less a high percentile of the batch's time; at least zero.</param>
public readonly record struct ServicePoint(int BatchSize, TimeSpan BatchTime, TimeSpan Slack)
{
    /// <summary>Requests per second, with a batch always ready.</summary>
    public double Throughput => BatchSize / BatchTime.TotalSeconds;
}
