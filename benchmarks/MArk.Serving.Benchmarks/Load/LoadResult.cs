namespace MArk.Serving.Benchmarks.Load;

/// <summary>One server under one load.</summary>
internal sealed record LoadResult
{
    public required int Offered { get; init; }

    /// <summary>Answered well within the objective.</summary>
    public required int Good { get; init; }

    /// <summary>Refused or failed.</summary>
    public required int Refused { get; init; }

    /// <summary>Refused or failed until the last had ended, those of the warm-up too.</summary>
    public int RefusedInTheEnd { get; init; }

    public required double Seconds { get; init; }

    /// <summary>The median latency of what was not refused.</summary>
    public required double P50Ms { get; init; }

    public required double P99Ms { get; init; }

    /// <summary>How late the generator itself was; part of every latency.</summary>
    public required double GeneratorP99Ms { get; init; }

    public double Share => Offered == 0 ? 0 : (double)Good / Offered;

    public double RefusedShare => Offered == 0 ? 0 : (double)Refused / Offered;

    public double Goodput => Good / Seconds;
}
