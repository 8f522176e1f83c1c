namespace MArk.Serving.Simulation.Reporting;

/// <summary>Some steps of a history in a row, as one that can be drawn.</summary>
internal sealed record HistoryBin
{
    public required TimeSpan Start { get; init; }

    public required TimeSpan End { get; init; }

    /// <summary>Arrivals over the bin's time, requests per second.</summary>
    public required double MeanLoad { get; init; }

    /// <summary>The lowest and highest of its steps.</summary>
    public required (double Lowest, double Highest) Load { get; init; }

    /// <summary>The mean over its time, requests per second, by offering.</summary>
    public required double[] Capacity { get; init; }

    /// <summary>The lowest low, the mean middle and the highest high of its steps; <see langword="null"/> if none has a forecast.</summary>
    public required ForecastBand? Forecast { get; init; }

    public required decimal InstanceCost { get; init; }

    public required decimal SpilloverCost { get; init; }

    /// <summary>A history in so many bins at most, of as many steps each; the last may have fewer.</summary>
    public static IReadOnlyList<HistoryBin> Of(IReadOnlyList<SimulationStep> history, int most)
    {
        var steps = Math.Max(1, (history.Count + most - 1) / most);
        return [.. history.Chunk(steps).Select(s => Of(s))];
    }

    private static HistoryBin Of(SimulationStep[] steps)
    {
        var seconds = steps.Sum(s => s.Length.TotalSeconds);
        var capacity = new double[steps[0].Capacity.Length];
        foreach (var step in steps)
        {
            for (var offering = 0; offering < capacity.Length; offering++)
            {
                capacity[offering] += step.Capacity[offering] * step.Length.TotalSeconds / seconds;
            }
        }
        var forecasts = steps.Where(s => s.Forecast is not null).Select(s => s.Forecast!.Value).ToArray();
        return new HistoryBin
        {
            Start = steps[0].Start,
            End = steps[^1].Start + steps[^1].Length,
            MeanLoad = steps.Sum(s => s.Arrivals) / seconds,
            Load = (steps.Min(Rate), steps.Max(Rate)),
            Capacity = capacity,
            Forecast = forecasts.Length == 0 ? null : new ForecastBand(forecasts.Min(f => f.Low), forecasts.Average(f => f.Median), forecasts.Max(f => f.High)),
            InstanceCost = steps[^1].InstanceCost,
            SpilloverCost = steps[^1].SpilloverCost,
        };
    }

    private static double Rate(SimulationStep step) => step.Arrivals / step.Length.TotalSeconds;
}
