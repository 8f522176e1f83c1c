using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;

namespace WebHost;

/// <summary>Kills a worker under load, and says what became of the requests.</summary>
internal static class SelfTest
{
    /// <returns>Whether every request was answered, and the worker was replaced.</returns>
    public static async Task<bool> RunAsync(WebApplication app, double rate, TimeSpan duration, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = Api.Address(app) };
        var calls = new List<Task<(bool Answered, bool Right)>>();
        var random = new Random(1);
        await WarmUpAsync(http, cancellationToken);
        var before = Api.Monitor(app).GetReport();
        var victim = WorkerProcesses.Of(Environment.ProcessId)[0];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Api.Workers} workers, {rate} requests/s for {duration.TotalSeconds} s; worker {victim} is killed after a third of it."));
        var clock = Stopwatch.StartNew();
        var isKilled = false;
        for (var due = TimeSpan.Zero; due < duration; due += TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / rate))
        {
            if (due > clock.Elapsed)
            {
                await Task.Delay(due - clock.Elapsed, cancellationToken);
            }
            if (!isKilled && due > duration / 3)
            {
                isKilled = true;
                using var process = Process.GetProcessById(victim);
                process.Kill();
            }
            calls.Add(AskAsync(http, Digits.HeldOut[calls.Count % Digits.HeldOut.Count], cancellationToken));
        }
        var answers = await Task.WhenAll(calls);
        await Api.UntilReadyAsync(app, cancellationToken);
        var after = Api.Monitor(app).GetReport();
        var lost = answers.Count(a => !a.Answered);
        var attainment = (double)(after.InTime - before.InTime) / calls.Count;
        var restarts = after.Cost.Launched - Api.Workers;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{calls.Count} requests, {lost} without an answer, {attainment:P2} within the objective (the worst {after.P99.TotalMilliseconds:N0} ms at the 99th percentile), {(double)answers.Count(a => a.Right) / calls.Count:P1} right; {restarts} worker(s) launched in place of the one that was killed."));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $$"""RESULT {"requests":{{calls.Count}},"lost":{{lost}},"sloAttainment":{{Math.Round(attainment, 4)}},"restarts":{{restarts}}}"""));
        return lost == 0 && restarts > 0;
    }

    /// <summary>The run-time compiles what is called often while it is called; that is no part of what is shown.</summary>
    private static async Task WarmUpAsync(HttpClient http, CancellationToken cancellationToken)
    {
        for (var round = 0; round < 20; round++)
        {
            await Task.WhenAll(Digits.HeldOut.Take(20).Select(digit => AskAsync(http, digit, cancellationToken)));
        }
    }

    private static async Task<(bool Answered, bool Right)> AskAsync(HttpClient http, (int Label, float[] Pixels) digit, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.PostAsJsonAsync("digits", digit.Pixels, ApiJson.Default.SingleArray, cancellationToken);
            return response.IsSuccessStatusCode
                ? (true, (await response.Content.ReadFromJsonAsync(ApiJson.Default.Answer, cancellationToken))!.Digit == digit.Label)
                : (false, false);
        }
        catch (HttpRequestException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return (false, false);
        }
    }
}
