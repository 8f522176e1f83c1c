namespace MArk.Serving.Simulation;

/// <summary>A moment at which a provider takes many spot machines away.</summary>
/// <param name="At">When they are told, since the start of the simulation.</param>
/// <param name="Share">The share of the spot machines that then run, rounded to whole machines, a half up: more than 0, at most 1.</param>
public readonly record struct SpotLoss(TimeSpan At, double Share)
{
    private const string Header = "offset_s,share";

    /// <summary>Reads losses: a line <c>offset_s,share</c>, then for each loss its second since the start, and the share of the spot machines.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The losses, as they stand there.</returns>
    /// <exception cref="TraceFormatException">The file cannot be read or is no such list; names the path and the line.</exception>
    public static IReadOnlyList<SpotLoss> Load(string path) =>
        PairFile.Open(path, reader => PairFile.Read(reader, path, Header).Select(row => Of(row.First, row.Second, path, row.Line)).ToArray());

    private static SpotLoss Of(double offset, double share, string path, int line) =>
        offset >= 0 && offset <= TimeSpan.MaxValue.TotalSeconds / 2 && share > 0 && share <= 1 ? new SpotLoss(TimeSpan.FromSeconds(offset), share)
            : throw new TraceFormatException(path, line, FormattableString.Invariant(
                $"the offset is {offset} and the share {share}; expected are a finite number of at least 0, and one of more than 0 and at most 1."));
}
