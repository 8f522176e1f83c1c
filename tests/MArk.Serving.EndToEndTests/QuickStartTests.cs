using System.Diagnostics;
using System.Text.Json;

namespace MArk.Serving.EndToEndTests;

/// <summary>The sample as people run it: a process, with its output redirected.</summary>
public sealed class QuickStartTests
{
    private static async Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "QuickStart.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    [Fact]
    public async Task AShortDayIsServedAndEveryFigureIsGiven()
    {
        var (exit, output, error) = await RunAsync("--seconds", "5", "--seed", "3");
        Assert.True(exit == 0, error);
        var last = output.TrimEnd().Split('\n')[^1];
        Assert.StartsWith("RESULT {", last);
        using var json = JsonDocument.Parse(last["RESULT ".Length..]);
        var result = json.RootElement;
        var requests = result.GetProperty("requests").GetInt64();
        Assert.True(requests > 1000, last);
        Assert.InRange(result.GetProperty("accuracy").GetDouble(), 0.95, 1);
        Assert.InRange(result.GetProperty("sloAttainment").GetDouble(), 0, 1);
        Assert.InRange(result.GetProperty("spilled").GetInt64() + result.GetProperty("rejected").GetInt64(), 0, requests);
        Assert.Equal(result.GetProperty("launched").GetInt32(), result.GetProperty("terminated").GetInt32());
        Assert.InRange(result.GetProperty("peakInstances").GetInt32(), 1, 8);
        Assert.True(result.GetProperty("p99Ms").GetDouble() >= result.GetProperty("p50Ms").GetDouble(), last);
        Assert.True(result.GetProperty("meanBatchAtPeak").GetDouble() >= 1, last);
        Assert.True(result.GetProperty("costUsd").GetDouble() > 0, last);
        Assert.True(result.GetProperty("costNoBatchingUsd").GetDouble() > result.GetProperty("costSimulatedUsd").GetDouble(), last);
        Assert.True(result.GetProperty("costPeakFleetUsd").GetDouble() > 0, last);
        Assert.Contains("Instances stand in for devices", output);
    }

    [Fact]
    public async Task ATraceOfOnesOwnIsReplayed()
    {
        var trace = Path.GetTempFileName();
        await File.WriteAllTextAsync(trace, "offset_s,count\n0,10\n60,0\n120,30\n180,20\n");
        var (exit, output, error) = await RunAsync("--trace", trace, "--seconds", "5", "--slo-ms", "200");
        File.Delete(trace);
        Assert.True(exit == 0, error);
        Assert.Contains("objective 200 ms", output);
    }

    [Fact]
    public async Task WhatIsWrongIsNamedAndTheExitCodeIsNotZero()
    {
        var trace = Path.GetTempFileName();
        await File.WriteAllTextAsync(trace, "offset_s,count\n0,1\nfive,2\n");
        await Check("line 3: 'five,2' is not two numbers", "--trace", trace);
        await File.WriteAllTextAsync(trace, "");
        await Check("line 1: it is empty", "--trace", trace);
        await File.WriteAllTextAsync(trace, "no model at all");
        await Check($"Model file '{trace}': ONNX Runtime cannot load it", "--model", trace);
        File.Delete(trace);
        await Check($"Model file '{trace}': there is no such file", "--model", trace);
        await Check("'--bogus'", "--bogus");
        await Check("--slo-ms is 0; accepted: 1 to 60000", "--slo-ms", "0");
        await Check("Cannot parse argument 'soon' for option '--seconds'", "--seconds", "soon");

        static async Task Check(string expected, params string[] arguments)
        {
            var (exit, output, error) = await RunAsync(arguments);
            Assert.NotEqual(0, exit);
            Assert.Contains(expected, error);
            Assert.DoesNotContain("Unhandled", output + error);
        }
    }
}
