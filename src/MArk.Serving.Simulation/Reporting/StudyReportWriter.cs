using System.Text;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>
/// Writes a study as a page to read and as data to compute with: <c>report.html</c>, which needs no other file, the same figures as <c>.svg</c> and <c>.png</c>, and
/// <c>.csv</c>, UTF-8, with the invariant culture's numbers and units in the headers.
/// </summary>
/// <remarks>
/// The files are <c>report.html</c>, <c>load-POLICY</c>, <c>latency</c> and <c>cost</c> as <c>.svg</c> and <c>.png</c>, <c>policies.csv</c>, <c>history-POLICY.csv</c> and
/// <c>latency-tail.csv</c>. What a result does not hold (a history, a latency tail) is left out, and the page says so. In a file's name a policy's has its small letters,
/// digits and hyphens. The same report gives the same bytes on the same machine; text in figures is set in a sans-serif font of the machine.
/// </remarks>
public static class StudyReportWriter
{
    /// <summary>Makes the folder if there is none and tries whether a file can be written to it: to be asked before a study that takes long.</summary>
    /// <param name="directory">The folder. A relative path is taken from the process's current directory.</param>
    /// <exception cref="ArgumentException">The path is empty, or no path.</exception>
    /// <exception cref="StudyOutputException">Nothing can be written there; says why.</exception>
    public static void EnsureWritable(string directory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        StudyFolder.Try(Path.GetFullPath(directory));
    }

    /// <summary>Writes a study's report. Files of the same names are replaced once all have been written beside them; where one cannot be written, none is replaced.</summary>
    /// <param name="report">The study.</param>
    /// <param name="directory">The folder, made if there is none. A relative path is taken from the process's current directory.</param>
    /// <returns>The full paths of the files, <c>report.html</c> first.</returns>
    /// <exception cref="ArgumentException">The report has no policy, two of one name, or a value outside its range; or the path is empty, or no path. Says which.</exception>
    /// <exception cref="StudyOutputException">The folder or a file in it cannot be written; says which and why.</exception>
    public static IReadOnlyList<string> Write(StudyReport report, string directory)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        StudyRules.Check(report);
        var folder = Path.GetFullPath(directory);
        StudyFolder.Try(folder);
        var shown = ShownPolicy.Of(report.Policies);
        var figures = StudyFigures.Of(report, shown);
        var files = new List<StudyFile>();
        foreach (var figure in figures.All)
        {
            files.Add(new StudyFile(figure.Name + ".svg", Encoding.UTF8.GetBytes(figure.ToSvgFile())));
            files.Add(new StudyFile(figure.Name + ".png", figure.ToPng()));
        }
        files.AddRange(StudyTables.Of(report, shown));
        files.Insert(0, new StudyFile("report.html", Encoding.UTF8.GetBytes(new StudyPage(report, shown, figures, [.. files.Select(f => f.Name)]).ToHtml())));
        return StudyFolder.Write(folder, files);
    }
}
