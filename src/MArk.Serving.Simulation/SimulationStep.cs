using System.Collections.Immutable;

namespace MArk.Serving.Simulation;

/// <summary>One step of a simulation's history.</summary>
public sealed record SimulationStep
{
    /// <summary>When it began, since the start of the simulation.</summary>
    public required TimeSpan Start { get; init; }

    /// <summary>How long it was.</summary>
    public required TimeSpan Length { get; init; }

    /// <summary>Requests that arrived in it.</summary>
    public required long Arrivals { get; init; }

    /// <summary>Requests of it, by arrival, that were answered by their deadline.</summary>
    public required long InTime { get; init; }

    /// <summary>Requests that the spillover target answered in it.</summary>
    public required long Spilled { get; init; }

    /// <summary>Instances of each offering that served, the mean over the step's time; in the order of <see cref="SimulationResult.Offerings"/>.</summary>
    public required ImmutableArray<double> Serving { get; init; }

    /// <summary>What those instances could serve, requests per second, by offering.</summary>
    public required ImmutableArray<double> Capacity { get; init; }

    /// <summary>The forecast for this step as it was when the last plan was made before it began, requests per second: a low, the middle and a high quantile; <see langword="null"/> where none was made.</summary>
    public required ForecastBand? Forecast { get; init; }

    /// <summary>What instances had cost at its end, since the start, US dollars.</summary>
    public required decimal InstanceCost { get; init; }

    /// <summary>What spillover had cost at its end, since the start, US dollars.</summary>
    public required decimal SpilloverCost { get; init; }
}

/// <summary>Quantiles of a forecast rate, requests per second.</summary>
/// <param name="Low">The lowest quantile that was forecast.</param>
/// <param name="Median">The middle one.</param>
/// <param name="High">The highest.</param>
public readonly record struct ForecastBand(double Low, double Median, double High);

/// <summary>A point of a latency distribution's tail.</summary>
/// <param name="Latency">A latency.</param>
/// <param name="ShareAbove">The share of answered requests that took longer.</param>
public readonly record struct LatencyTailPoint(TimeSpan Latency, double ShareAbove);
