using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Wire;

/// <summary>A load tool that is none of ours asks a worker, in JSON: <c>wrk</c>, or <c>hey</c>, whichever is there.</summary>
internal static partial class OutsideClient
{
    private const int Connections = 16;

    /// <returns>What it measured; nothing if neither is there.</returns>
    public static async Task<JsonObject?> RunAsync(Uri endpoint, BenchmarkModel model, double seconds)
    {
        var body = Path.GetTempFileName();
        var script = Path.GetTempFileName();
        try
        {
            var values = string.Join(',', model.Inputs[0].Select(v => v.ToString(CultureInfo.InvariantCulture)));
            var json = $$"""{"inputs":[{"name":"{{model.InputName}}","shape":[1,{{model.InputLength}}],"datatype":"FP32","data":[{{values}}]}]}""";
            await File.WriteAllTextAsync(body, json);
            await File.WriteAllTextAsync(script, $"wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = '{json}'\n");
            var duration = string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(seconds)}s");
            var connections = Connections.ToString(CultureInfo.InvariantCulture);
            return await TryAsync("wrk", WrkRate(), ["-t1", $"-c{connections}", $"-d{duration}", "--latency", "-s", script, endpoint.AbsoluteUri])
                ?? await TryAsync("hey", HeyRate(), ["-z", duration, "-c", connections, "-m", "POST", "-T", "application/json", "-D", body, endpoint.AbsoluteUri])
                ?? Missing();
        }
        finally
        {
            File.Delete(body);
            File.Delete(script);
        }
    }

    private static JsonObject? Missing()
    {
        Console.WriteLine("\nNeither wrk nor hey is there: no outside client asked the worker.");
        return null;
    }

    private static async Task<JsonObject?> TryAsync(string tool, Regex rate, string[] arguments)
    {
        var start = new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true };
        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // It is not there.
            return null;
        }
        using (process)
        {
            var output = await process!.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0 || rate.Match(output) is not { Success: true } match || output.Contains("Non-2xx", StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"{tool} did not end well: {output}");
            }
            var requests = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n{tool}, {Connections} connections, one item a request in JSON, straight to the worker: {requests:N0} requests/s"));
            return new JsonObject { ["tool"] = tool, ["requestsPerSecond"] = Math.Round(requests) };
        }
    }

    [GeneratedRegex(@"Requests/sec:\s+([0-9.]+)")]
    private static partial Regex WrkRate();

    [GeneratedRegex(@"Requests/sec:\s+([0-9.]+)")]
    private static partial Regex HeyRate();
}
