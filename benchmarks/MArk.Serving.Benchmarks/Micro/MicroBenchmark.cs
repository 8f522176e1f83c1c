using System.Globalization;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace MArk.Serving.Benchmarks.Micro;

/// <summary>BenchmarkDotNet over the engine's decisions, in this process.</summary>
internal static class MicroBenchmark
{
    public static Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args) is not { } arguments)
        {
            return Task.FromResult(2);
        }
        var artifacts = Path.Combine(Path.GetTempPath(), $"mark-benchmark-{Environment.ProcessId}");
        var job = (arguments.Quick ? Job.Dry : Job.Default).WithToolchain(InProcessEmitToolchain.Instance);
        var config = ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(NullLogger.Instance)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .WithOptions(ConfigOptions.DisableLogFile)
            .WithArtifactsPath(artifacts);
        Console.WriteLine(Format.Machine());
        Console.WriteLine($"micro: no model, no load, no seed; BenchmarkDotNet's {(arguments.Quick ? "dry" : "default")} job, in process");
        var summary = BenchmarkRunner.Run<CoreBenchmarks>(config);
        if (Directory.Exists(artifacts))
        {
            Directory.Delete(artifacts, recursive: true);
        }
        if (summary.HasCriticalValidationErrors || summary.Reports.Any(report => report.ResultStatistics is null))
        {
            Console.Error.WriteLine($"a benchmark did not run: {string.Join("; ", summary.ValidationErrors.Select(e => e.Message))}");
            return Task.FromResult(1);
        }
        Console.WriteLine("\nwhat             mean ns   +- ns   bytes");
        var result = new JsonObject();
        foreach (var report in summary.Reports)
        {
            var name = report.BenchmarkCase.Descriptor.WorkloadMethod.Name;
            var statistics = report.ResultStatistics!;
            var bytes = report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) ?? 0;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-14} {statistics.Mean,9:N1} {statistics.StandardError,7:N1} {bytes,7:N0}"));
            result[$"{Format.Key(name)}Ns"] = Format.Round(statistics.Mean, 1);
            result[$"{Format.Key(name)}Bytes"] = bytes;
        }
        return Task.FromResult(arguments.Finish(result));
    }
}
