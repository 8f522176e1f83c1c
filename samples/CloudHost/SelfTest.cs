using System.Globalization;
using MArk.Serving;
using MArk.Serving.Diagnostics;
using QuickStart;

namespace CloudHost;

/// <summary>A bursty day in some seconds, on emulated machines, of which one is taken away: what became of the requests, the machines and the money.</summary>
internal static class SelfTest
{
    private static readonly TimeSpan Notice = TimeSpan.FromSeconds(3);

    /// <returns>Whether every request was answered, and no machine was left.</returns>
    public static async Task<bool> RunAsync(WebApplication app, EmulatedCloud cloud, TimeSpan day, int seed, CancellationToken cancellationToken)
    {
        var options = app.Services.GetRequiredService<Microsoft.Extensions.Options.IOptionsMonitor<MArk.Serving.Configuration.ModelOptions>>().Get(Api.Model);
        var peak = 3.3 * EmulatedCloud.Device.CapacityWithin(options.Slo, options.MaxBatchSize);
        var arrivals = Workload.Day().Reshape(day, slots: 160, peak).Arrivals(seed).ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"A day in {day.TotalSeconds:0} s: {arrivals.Count} requests, at most {peak:0}/s; objective {options.Slo.TotalMilliseconds:0} ms. Machines stand in for devices that take {EmulatedCloud.Device.Mean(1).TotalMilliseconds:0} ms for one request, {EmulatedCloud.Device.Mean(32).TotalMilliseconds:0} ms for 32."));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Dollars are those of the day: a second is billed as {TimeSpan.FromDays(1) / day / 60:0} minutes. A spot machine is taken away in the afternoon, with a notice of {Notice.TotalSeconds} s before."));
        var monitor = Api.Monitor(app);
        var replay = new Replay(app.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(Api.Model), Workload.Digits());
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var showing = ShowAsync(monitor.WatchAsync(day / 30, over.Token));
        var loss = LoseSpotAsync(cloud, day * 0.6, over.Token);
        await replay.RunAsync(arrivals, cancellationToken);
        await over.CancelAsync();
        await showing;
        var lostMachine = loss.IsCompletedSuccessfully ? await loss : null;
        await app.StopAsync(cancellationToken);
        var left = await cloud.MachinesAsync(cancellationToken);
        var report = monitor.GetReport();
        var lost = report.Offered - report.Succeeded;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Offered} requests, {lost} lost, {report.SloAttainment:P2} within the objective, {replay.Accuracy:P1} right; {report.Spilled} spilled; {report.Cost.Launched} machines launched, {report.Cost.Terminated} ended, {left.Count} left; {(lostMachine is null ? "no spot machine ran to be taken away" : $"{lostMachine} was taken away")}; {report.Cost.Total:0.00} dollars."));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $$"""RESULT {"requests":{{report.Offered}},"lost":{{lost}},"sloAttainment":{{Math.Round(report.SloAttainment, 4)}},"launched":{{report.Cost.Launched}},"terminated":{{report.Cost.Terminated}},"leaked":{{left.Count}},"spilled":{{report.Spilled}},"costUsd":{{Math.Round(report.Cost.Total, 2)}}}"""));
        return lost == 0 && left.Count == 0 && lostMachine is not null;
    }

    private static async Task<string> LoseSpotAsync(EmulatedCloud cloud, TimeSpan after, CancellationToken cancellationToken)
    {
        await Task.Delay(after, cancellationToken);
        return await cloud.TakeSpotMachineAwayAsync(Notice, cancellationToken);
    }

    private static async Task ShowAsync(IAsyncEnumerable<ModelReport> reports)
    {
        Console.WriteLine("      s    req/s   expect    fleet    batch   p99 ms    SLO %  spilled  dollars");
        DateTimeOffset? start = null;
        await foreach (var r in reports)
        {
            start ??= r.At - r.Interval;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{(r.At - start.Value).TotalSeconds,7:0.0} {r.ArrivalRate,8:0} {r.ForecastPeak,8:0} {$"{r.ReadyInstances}+{r.LaunchingInstances}",8} {r.MeanBatch,8:0.0} {r.P99.TotalMilliseconds,8:0} {100 * r.SloAttainment,8:0.0} {r.Spilled,8} {r.Cost.Total,8:0.00}"));
        }
    }
}
