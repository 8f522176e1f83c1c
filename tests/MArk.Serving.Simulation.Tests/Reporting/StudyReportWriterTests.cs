using System.Buffers.Binary;
using System.Globalization;
using System.Xml;
using System.Xml.Linq;
using MArk.Serving.Simulation.Reporting;

namespace MArk.Serving.Simulation.Tests.Reporting;

public sealed class StudyReportWriterTests : IDisposable
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static double Number(string cell) => double.Parse(cell, CultureInfo.InvariantCulture);

    private static decimal Money(string cell) => decimal.Parse(cell, CultureInfo.InvariantCulture);

    /// <summary>The page as XML, which it is but for its document type.</summary>
    private static XDocument Page(string directory)
    {
        using var reader = XmlReader.Create(Path.Combine(directory, "report.html"), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader);
    }

    private XDocument Written(StudyReport report)
    {
        StudyReportWriter.Write(report, _folder.Path);
        return Page(_folder.Path);
    }

    private string[] Names() => [.. Directory.EnumerateFileSystemEntries(_folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];

    private static string TextOf(XElement element) => string.Join(' ', element.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    [Fact]
    public void AllFilesAreWrittenAndNamed()
    {
        var paths = StudyReportWriter.Write(StudyInputs.Day(), _folder.In("new/folder"));
        string[] policies = ["default-mean-band", "sagemaker-target-tracking", "static-peak", "hpa"];
        string[] expected =
        [
            "cost.png", "cost.svg", "latency-tail.csv", "latency.png", "latency.svg", "policies.csv", "report.html",
            .. policies.SelectMany(p => new[] { $"history-{p}.csv", $"load-{p}.png", $"load-{p}.svg" }),
        ];
        Assert.Equal("report.html", Path.GetFileName(paths[0]));
        Assert.All(paths, p => Assert.True(Path.IsPathFullyQualified(p) && new FileInfo(p).Length > 0, p));
        Assert.Equal(expected.Order(StringComparer.Ordinal), paths.Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal));
        // Nothing else is left in the folder.
        Assert.Equal(expected.Length, Directory.EnumerateFileSystemEntries(_folder.In("new/folder")).Count());
    }

    [Fact]
    public void ThePageNeedsNothingElse()
    {
        var page = Written(StudyInputs.Day());
        var text = File.ReadAllText(_folder.In("report.html"));
        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", text, StringComparison.Ordinal);
        var withoutNamespace = text.Replace("xmlns=\"http://www.w3.org/2000/svg\"", "", StringComparison.Ordinal);
        Assert.DoesNotContain("http:", withoutNamespace, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("https:", withoutNamespace, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(page.Descendants().Attributes(), a => a.Name.LocalName is "src" or "href");
    }

    [Fact]
    public void ThePageCanBeReadByMachinesThatReadAloud()
    {
        var page = Written(StudyInputs.Day());
        var ids = page.Descendants().Select(e => (string?)e.Attribute("id")).OfType<string>().ToList();
        Assert.Equal(ids.Count, ids.Distinct().Count());
        var labels = page.Descendants().Select(e => (string?)e.Attribute("aria-labelledby")).OfType<string>().SelectMany(l => l.Split(' '));
        Assert.All(labels, l => Assert.Contains(l, ids));
        var clips = page.Descendants().Attributes("clip-path").Select(a => a.Value).ToList();
        Assert.NotEmpty(clips);
        Assert.All(clips, c => Assert.Contains(c["url(#".Length..^1], ids));

        var figures = page.Descendants("figure").ToList();
        Assert.Equal(6, figures.Count);
        Assert.All(figures, f =>
        {
            var svg = Assert.Single(f.Descendants(Svg + "svg"));
            Assert.Equal("img", (string?)svg.Attribute("role"));
            Assert.NotEmpty(Assert.Single(svg.Elements(Svg + "title")).Value);
            Assert.NotEmpty(Assert.Single(svg.Elements(Svg + "desc")).Value);
            Assert.NotEmpty(Assert.Single(f.Elements("figcaption")).Value);
        });

        var table = Assert.Single(page.Descendants("table"));
        Assert.NotEmpty(Assert.Single(table.Elements("caption")).Value);
        Assert.All(table.Element("thead")!.Descendants("th"), h => Assert.Equal("col", (string?)h.Attribute("scope")));
        var rows = table.Element("tbody")!.Elements("tr").ToList();
        Assert.Equal(4, rows.Count);
        Assert.All(rows, r =>
        {
            Assert.Equal("row", (string?)Assert.Single(r.Elements("th")).Attribute("scope"));
            Assert.Equal(table.Element("thead")!.Descendants("th").Count(), r.Elements().Count());
        });
        Assert.Single(page.Descendants("h1"));
        Assert.All(page.Descendants("section"), s => Assert.Single(s.Elements("h2")));
    }

    [Fact]
    public void ThePageHasThePoliciesTheObjectiveAndTheNumbers()
    {
        var report = StudyInputs.Day();
        var page = Written(report);
        var text = TextOf(page.Root!.Element("body")!);
        Assert.Contains("A made-up day", text, StringComparison.Ordinal);
        Assert.Contains("CostStudy --trace sine.csv --scale 1 --seed 7", text, StringComparison.Ordinal);
        Assert.Contains("Latency objective (SLO) 50 ms", text, StringComparison.Ordinal);
        Assert.Contains("Service level 99 %", text, StringComparison.Ordinal);
        Assert.Contains("$10.50 with fractions of machines", text, StringComparison.Ordinal);
        Assert.Contains("$11.25 with whole machines", text, StringComparison.Ordinal);
        foreach (var (policy, row) in report.Policies.Zip(page.Descendants("tbody").Elements("tr")))
        {
            var cells = row.Elements().Select(TextOf).ToArray();
            var r = policy.Result;
            Assert.Equal(policy.Name, cells[0]);
            Assert.Equal(r.TotalCost.ToString("F2", CultureInfo.InvariantCulture), cells[1]);
            Assert.Equal((double)r.TotalCost / r.Requests * 1e6, Number(cells[2]), 0.001);
            Assert.EndsWith((Math.Floor(r.SloAttainment * 1e5) / 1e3).ToString("F3", CultureInfo.InvariantCulture), cells[3], StringComparison.Ordinal);
            Assert.Equal(r.SloAttainment < 0.99, cells[3].Contains("below", StringComparison.Ordinal));
            Assert.Equal("18.3", cells[4]);
            Assert.Equal(r.P99.TotalMilliseconds.ToString("F1", CultureInfo.InvariantCulture), cells[5]);
            Assert.Equal("88.1", cells[6]);
            Assert.Equal(100.0 * r.Spilled / r.Requests, Number(cells[7]), 0.0006);
            Assert.Equal(100.0 * r.Rejected / r.Requests, Number(cells[8]), 0.0006);
            Assert.Equal(r.Launched.ToString(CultureInfo.InvariantCulture), cells[9]);
            Assert.Equal(r.Interruptions.ToString(CultureInfo.InvariantCulture), cells[10]);
            Assert.Equal((double)r.TotalCost / 10.5, Number(cells[11]), 0.006);
            Assert.Equal((double)r.TotalCost / 11.25, Number(cells[12]), 0.006);
        }
        // HPA is cheaper and below the level: it is shown and not named.
        Assert.True(report.Policies[3].Result.TotalCost < report.Policies[0].Result.TotalCost);
        Assert.Contains("is Default (mean + band): $", TextOf(page.Descendants("header").Single()), StringComparison.Ordinal);
    }

    [Fact]
    public void AShareBelowTheLevelNeverReadsAsIfItReachedIt()
    {
        var nearly = StudyInputs.Result(steps: 10) with { Requests = 1_000_000_000, InTime = 989_999_999 };
        var page = Written(StudyInputs.Report(new PolicyOutcome("nearly", "", nearly), new PolicyOutcome("just", "", nearly with { InTime = 990_000_000 })));
        var cells = page.Descendants("tbody").Elements("tr").Select(r => TextOf(r.Elements().ElementAt(3))).ToArray();
        Assert.Equal(["\u25BC below 98.999", "99.000"], cells);
    }

    [Fact]
    public void WhereNoPolicyReachesTheLevelThePageSaysSo()
    {
        var page = Written(StudyInputs.Report(new PolicyOutcome("late", "", StudyInputs.Result(attainment: 0.5, steps: 10))));
        Assert.Contains("No policy answered 99 % of the requests within 50 ms.", TextOf(page.Descendants("header").Single()), StringComparison.Ordinal);
    }

    [Fact]
    public void FiguresAreVectorsAndPixelsOfOneSize()
    {
        StudyReportWriter.Write(StudyInputs.Day(), _folder.Path);
        foreach (var file in Directory.EnumerateFiles(_folder.Path, "*.svg"))
        {
            var svg = XDocument.Load(file).Root!;
            Assert.Equal(Svg + "svg", svg.Name);
            Assert.Equal($"0 0 {(string)svg.Attribute("width")!} {(string)svg.Attribute("height")!}", (string)svg.Attribute("viewBox")!);
            var png = File.ReadAllBytes(Path.ChangeExtension(file, ".png"));
            Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png[..4]);
            Assert.Equal(2 * (int)svg.Attribute("width")!, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
            Assert.Equal(2 * (int)svg.Attribute("height")!, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20)));
            // A figure must not grow with the history.
            Assert.InRange(new FileInfo(file).Length, 1, 400_000);
        }
    }

    [Fact]
    public void FiguresNameWhatIsInThem()
    {
        if (!Ink.HasFont)
        {
            Assert.Skip("No font on this machine.");
        }
        StudyReportWriter.Write(StudyInputs.Day(), _folder.Path);
        string[] Texts(string file) => [.. XDocument.Load(_folder.In(file)).Descendants(Svg + "text").Select(t => t.Value)];
        var latency = Texts("latency.svg");
        Assert.Contains("SLO 50 ms", latency);
        Assert.Contains("service level: 1 % may take longer", latency);
        Assert.Contains("Default (mean + band)", latency);
        Assert.Contains("HPA", latency);
        var load = Texts("load-default-mean-band.svg");
        Assert.Contains("forecast, low to high", load);
        Assert.Contains("capacity of c5.large", load);
        Assert.Contains("capacity of p2.xlarge (spot)", load);
        Assert.Contains("hours since the start", load);
        Assert.DoesNotContain("forecast, low to high", Texts("load-hpa.svg"));
        var cost = Texts("cost.svg");
        Assert.Contains("least with whole machines, $11.25", cost);
        Assert.Contains(cost, t => t.EndsWith(", below service level", StringComparison.Ordinal));
        Assert.Contains("Static peak", cost);
    }

    [Fact]
    public void TablesAreReadBackAsTheyWere()
    {
        var report = StudyInputs.Report(
            new PolicyOutcome("a, \"b\"\nc", "line one\r\nline, two", StudyInputs.Result(steps: 100)), new PolicyOutcome("d", "", StudyInputs.Result(steps: 7, hasForecast: false)));
        StudyReportWriter.Write(report, _folder.Path);
        var policies = CsvReader.Read(_folder.In("policies.csv"));
        foreach (var (policy, row) in report.Policies.Zip(policies))
        {
            var r = policy.Result;
            Assert.Equal(policy.Name, row["policy"]);
            Assert.Equal(policy.Description, row["description"]);
            Assert.Equal(r.Requests, long.Parse(row["requests"], CultureInfo.InvariantCulture));
            Assert.Equal(r.SloAttainment, Number(row["share_within_slo"]));
            Assert.Equal("true", row["meets_service_level"]);
            Assert.Equal(r.P999.TotalMilliseconds, Number(row["p99_9_ms"]));
            Assert.Equal(r.InstanceCost, Money(row["instance_cost_usd"]));
            Assert.Equal(r.TotalCost, Money(row["total_cost_usd"]));
            Assert.Equal((double)(r.TotalCost / 11.25m), Number(row["multiple_of_integer_bound"]));
        }
        foreach (var (file, result) in new[] { ("history-a-b-c.csv", report.Policies[0].Result), ("history-d.csv", report.Policies[1].Result) })
        {
            var rows = CsvReader.Read(_folder.In(file));
            Assert.Equal(result.History.Count, rows.Count);
            foreach (var (step, row) in result.History.Zip(rows))
            {
                Assert.Equal(step.Start.TotalSeconds, Number(row["start_s"]));
                Assert.Equal(step.Arrivals, long.Parse(row["arrivals"], CultureInfo.InvariantCulture));
                Assert.Equal(step.SpilloverCost, Money(row["spillover_cost_usd"]));
                Assert.Equal(step.Capacity[1], Number(row["capacity_per_s p2.xlarge (spot)"]));
                Assert.Equal(step.Serving[0], Number(row["serving c5.large"]));
                Assert.Equal(step.Forecast?.High, row["forecast_high_per_s"].Length == 0 ? null : Number(row["forecast_high_per_s"]));
            }
        }
        var tail = CsvReader.Read(_folder.In("latency-tail.csv")).Where(r => r["policy"] == "d").ToList();
        Assert.Equal(report.Policies[1].Result.LatencyTail, tail.Select(r => new LatencyTailPoint(new TimeSpan((long)Math.Round(Number(r["latency_ms"]) * TimeSpan.TicksPerMillisecond)), Number(r["share_above"]))));
    }

    [Fact]
    public void TheSameReportGivesTheSameBytesInAnyCulture()
    {
        var first = StudyReportWriter.Write(StudyInputs.Day(), _folder.In("first"));
        var before = CultureInfo.CurrentCulture;
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (other.NumberFormat.NumberDecimalSeparator, other.NumberFormat.NumberGroupSeparator, other.NumberFormat.NegativeSign) = (",", ".", "~");
        try
        {
            CultureInfo.CurrentCulture = other;
            var second = StudyReportWriter.Write(StudyInputs.Day(), _folder.In("second"));
            Assert.All(first.Zip(second), p => Assert.True(File.ReadAllBytes(p.First).AsSpan().SequenceEqual(File.ReadAllBytes(p.Second)), p.First));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void HostileNamesAreTextAndStayInTheFolder()
    {
        string[] names =
        [
            "<script>alert(1)</script>", "../../etc/passwd", "..\\..\\boot.ini", "a/b", "a b", "A-B", "CON", "...", "\u0001\uD800\u4E2D", "x\" onload=\"y", "&amp;", new('n', 500),
            new string('n', 499) + "!",
        ];
        var result = StudyInputs.Result(steps: 4) with { Offerings = ["<b>&\u0002", "]]>"] };
        var page = Written(StudyInputs.Report([.. names.Select(n => new PolicyOutcome(n, "</style><script>", result))]) with { Title = "<script>\u0003", Description = "<!--</p>" });
        var text = File.ReadAllText(_folder.In("report.html"));
        Assert.DoesNotContain("<script", text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(page.Descendants().Attributes(), a => a.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase));
        var shown = page.Descendants("tbody").Elements("tr").Select(r => r.Element("th")!.Value).ToArray();
        Assert.Equal(names.Length, shown.Length);
        Assert.Equal("<script>alert(1)</script>", shown[0]);
        Assert.Equal("\uFFFD\uFFFD\u4E2D", shown[8]);
        var histories = Names().Where(n => n.StartsWith("history-", StringComparison.Ordinal)).ToArray();
        Assert.Equal(names.Length, histories.Length);
        Assert.All(histories, h => Assert.Matches("^history-[a-z0-9-]{1,64}\\.csv$", h));
        Assert.Equal(histories.Length, histories.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.Contains("history-script-alert-1-script.csv", histories);
        Assert.Contains("history-etc-passwd.csv", histories);
        Assert.Contains("history-a-b.csv", histories);
        Assert.Contains("history-a-b-2.csv", histories);
        Assert.Contains("history-a-b-3.csv", histories);
        Assert.Contains("history-policy.csv", histories);
    }

    [Fact]
    public void WhatAResultDoesNotHoldIsLeftOutAndThePageSaysSo()
    {
        var full = StudyInputs.Result(steps: 10);
        var page = Written(StudyInputs.Report(
            new PolicyOutcome("whole", "", full), new PolicyOutcome("without a past", "", full with { History = [] }), new PolicyOutcome("without a tail", "", full with { LatencyTail = [] })));
        Assert.DoesNotContain("load-without-a-past.svg", Names());
        Assert.DoesNotContain("history-without-a-past.csv", Names());
        Assert.Contains("load-without-a-tail.svg", Names());
        var said = page.Descendants("p").Where(p => (string?)p.Attribute("class") == "left-out").Select(p => p.Value).ToArray();
        Assert.Equal(
            [
                "Without a line, since the simulation kept no latency tail: without a tail.",
                "Without a cost over time, since the simulation kept no history: without a past.",
                "Without a figure, since the simulation kept no history: without a past.",
            ], said);
    }

    [Fact]
    public void AStudyWithoutAnyHistoryTailBoundOrRequestIsStillShown()
    {
        var nothing = StudyInputs.Result(steps: 10) with { History = [], LatencyTail = [], Offerings = [], Requests = 0, InTime = 0, Rejected = 0, Spilled = 0, InstanceCost = 0, SpilloverCost = 0 };
        var page = Written(StudyInputs.Report(new PolicyOutcome("idle", "", nothing)) with { Bound = null });
        Assert.Equal(["cost.png", "cost.svg", "policies.csv", "report.html"], Names());
        var table = page.Descendants("table").Single();
        Assert.DoesNotContain("bound", TextOf(table), StringComparison.Ordinal);
        Assert.Equal("\u2013", table.Element("tbody")!.Elements("tr").Single().Elements().ElementAt(2).Value);
        Assert.Contains("was not computed", TextOf(page.Root!), StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", File.ReadAllText(_folder.In("report.html")) + File.ReadAllText(_folder.In("policies.csv")), StringComparison.Ordinal);
    }

    [Fact]
    public void OneStepAndOnePointAreEnough()
    {
        var result = StudyInputs.Result(steps: 1) with { LatencyTail = [new LatencyTailPoint(TimeSpan.Zero, 0)] };
        var page = Written(StudyInputs.Report(new PolicyOutcome("short", "", result)));
        Assert.Equal(3, page.Descendants("figure").Count());
        Assert.DoesNotContain("NaN", File.ReadAllText(_folder.In("report.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void FilesOfTheSameNameAreReplaced()
    {
        File.WriteAllText(_folder.In("report.html"), "old");
        File.WriteAllText(_folder.In("policies.csv"), "old");
        File.WriteAllText(_folder.In("notes.txt"), "mine");
        StudyReportWriter.Write(StudyInputs.Report(new PolicyOutcome("p", "", StudyInputs.Result(steps: 3))), _folder.Path);
        Assert.NotEqual("old", File.ReadAllText(_folder.In("report.html")));
        Assert.NotEqual("old", File.ReadAllText(_folder.In("policies.csv")));
        Assert.Equal("mine", File.ReadAllText(_folder.In("notes.txt")));
        Assert.DoesNotContain(Names(), n => n.EndsWith(".tmp", StringComparison.Ordinal));
    }

    [Fact]
    public void WhereOneFileCannotBeWrittenNoneIsReplaced()
    {
        File.WriteAllText(_folder.In("report.html"), "old");
        Directory.CreateDirectory(_folder.In("policies.csv"));
        var report = StudyInputs.Report(new PolicyOutcome("p", "", StudyInputs.Result(steps: 3)));
        var error = Assert.Throws<StudyOutputException>(() => StudyReportWriter.Write(report, _folder.Path));
        Assert.Equal(_folder.In("policies.csv"), error.Path);
        Assert.Contains("folder", error.Reason, StringComparison.Ordinal);
        Assert.Contains(error.Path, error.Message, StringComparison.Ordinal);
        Assert.Equal(["policies.csv", "report.html"], Names());
        Assert.Equal("old", File.ReadAllText(_folder.In("report.html")));
    }

    [Theory]
    [InlineData("taken")]
    [InlineData("taken/below")]
    public void AFolderThatCannotBeWrittenIsNamed(string name)
    {
        File.WriteAllText(_folder.In("taken"), "a file");
        var report = StudyInputs.Report(new PolicyOutcome("p", "", StudyInputs.Result(steps: 3)));
        foreach (var write in new Action[] { () => StudyReportWriter.Write(report, _folder.In(name)), () => StudyReportWriter.EnsureWritable(_folder.In(name)) })
        {
            var error = Assert.Throws<StudyOutputException>(write);
            Assert.Equal(_folder.In(name), error.Path);
            Assert.NotEmpty(error.Reason);
            Assert.IsType<ServingException>(error, exactMatch: false);
            Assert.NotNull(error.InnerException);
        }
        Assert.Equal("a file", File.ReadAllText(_folder.In("taken")));
    }

    [Fact]
    public void AFolderThatNobodyMayWriteToIsNamed()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux has a /proc.");
        Assert.Equal("/proc/study", Assert.Throws<StudyOutputException>(() => StudyReportWriter.EnsureWritable("/proc/study")).Path);
    }

    [Fact]
    public void TryingAFolderMakesItAndLeavesNothingInIt()
    {
        StudyReportWriter.EnsureWritable(_folder.In("a/b"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.In("a/b")));
    }

    public static TheoryData<string, Func<StudyReport, StudyReport>> Flawed { get; } = new()
    {
        { "Title", r => r with { Title = " " } },
        { "Slo", r => r with { Slo = TimeSpan.Zero } },
        { "ServiceLevel", r => r with { ServiceLevel = 1 } },
        { "ServiceLevel", r => r with { ServiceLevel = double.NaN } },
        { "Policies is empty", r => r with { Policies = [] } },
        { "Two policies are called 'p'", r => r with { Policies = [r.Policies[0], r.Policies[0]] } },
        { "Name is empty", r => r with { Policies = [r.Policies[0] with { Name = "" }] } },
        { "Bound", r => r with { Bound = new StudyBound(-1, 1) } },
        { "'p' at 00:01:00", r => With(r, s => s with { Length = TimeSpan.Zero }) },
        { "'p' at 00:00:30", r => With(r, s => s with { Start = TimeSpan.FromSeconds(30) }) },
        { "each of 2 offerings", r => With(r, s => s with { Capacity = [1] }) },
        { "each of 2 offerings", r => With(r, s => s with { Serving = [1, double.NaN] }) },
        { "each of 2 offerings", r => With(r, s => s with { Serving = default }) },
        { "the forecast", r => With(r, s => s with { Forecast = new ForecastBand(2, 1, 3) }) },
        { "the forecast", r => With(r, s => s with { Forecast = new ForecastBand(0, 1, double.PositiveInfinity) }) },
        { "latency tail", r => Tailed(r, new(TimeSpan.FromMilliseconds(2), 0.5), new(TimeSpan.FromMilliseconds(1), 0.4)) },
        { "latency tail", r => Tailed(r, new(TimeSpan.FromMilliseconds(1), 0.5), new(TimeSpan.FromMilliseconds(2), 0.6)) },
    };

    private static StudyReport With(StudyReport report, Func<SimulationStep, SimulationStep> change)
    {
        var history = report.Policies[0].Result.History.ToArray();
        history[1] = change(history[1]);
        return report with { Policies = [report.Policies[0] with { Result = report.Policies[0].Result with { History = history } }] };
    }

    private static StudyReport Tailed(StudyReport report, params LatencyTailPoint[] tail) =>
        report with { Policies = [report.Policies[0] with { Result = report.Policies[0].Result with { LatencyTail = tail } }] };

    [Theory]
    [MemberData(nameof(Flawed), DisableDiscoveryEnumeration = true)]
    public void AFlawedReportIsRefusedBeforeAnythingIsWritten(string says, Func<StudyReport, StudyReport> flaw)
    {
        var report = flaw(StudyInputs.Report(new PolicyOutcome("p", "", StudyInputs.Result(steps: 3))));
        var error = Assert.Throws<ArgumentException>(() => StudyReportWriter.Write(report, _folder.In("out")));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.In("out")));
    }
}
