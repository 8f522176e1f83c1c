namespace MArk.Serving.Simulation.Reporting;

/// <summary>A study's figures.</summary>
/// <param name="Cost">What each policy cost.</param>
/// <param name="Latency">The latency of all policies; <see langword="null"/> if no result has a tail.</param>
/// <param name="Loads">Load and capacity, of each policy with a history.</param>
internal sealed record StudyFigures(StudyFigure Cost, StudyFigure? Latency, IReadOnlyList<LoadFigure> Loads)
{
    public IEnumerable<StudyFigure> All => [Cost, .. Latency is null ? Array.Empty<StudyFigure>() : [Latency], .. Loads];

    public static StudyFigures Of(StudyReport report, IReadOnlyList<ShownPolicy> policies) =>
        new(CostFigure.Of(report, policies), LatencyFigure.Of(report, policies), [.. LoadFigure.Of(policies)]);
}
