using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using MArk.Serving.Batching;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>Issue 3, feature 10: why a batch left and what its oldest request waited, in the meter, the activity and the report.</summary>
public sealed class BatchTelemetryTests
{
    private const string Model = "telemetry";

    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10) };

    [Fact]
    public async Task TheReportTheMeterAndTheActivitySayWhyBatchesLeft()
    {
        var measured = new ConcurrentQueue<(string Instrument, double Value, string? Reason)>();
        using var meters = new MeterListener();
        meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name is "mark.serving.batch.size" or "mark.serving.batch.oldest_wait")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        meters.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Note(instrument, value, tags));
        meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        meters.Start();
        var activities = new ConcurrentQueue<Activity>();
        using var spans = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "MArk.Serving",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activities.Enqueue,
        };
        ActivitySource.AddActivityListener(spans);

        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction(doubler.RunAsync).UseBatchPolicy(_ => new NoBatchingPolicy()), model: Model);
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var rest = new[] { host.Client.InferAsync(1, Patient).AsTask(), host.Client.InferAsync(2, Patient).AsTask() };
        await host.UntilAsync(r => r.Waiting == 2);
        doubler.Open();
        await Task.WhenAll([first, .. rest]);
        await host.UntilAsync(r => r.BatchesByReason.Values.Sum() == 3);
        await host.StopAsync();

        // One that met an idle instance, one of two that waited, and the last.
        var report = host.Monitor.GetReport();
        Assert.Equal(Enum.GetValues<BatchReason>(), report.BatchesByReason.Keys.Order());
        Assert.Equal((2, 1), (report.BatchesByReason[BatchReason.IdleInstance], report.BatchesByReason[BatchReason.Full]));
        Assert.True(report.LongestOldestWait > TimeSpan.Zero);
        Assert.Equal(["full", "idle_instance", "idle_instance"], measured.Where(m => m.Instrument == "mark.serving.batch.size").Select(m => m.Reason).Order());
        var waits = measured.Where(m => m.Instrument == "mark.serving.batch.oldest_wait").ToArray();
        Assert.Equal(["full", "idle_instance", "idle_instance"], waits.Select(w => w.Reason).Order());
        Assert.InRange(waits.Max(w => w.Value), 0.96 * report.LongestOldestWait.TotalSeconds - 2e-6, report.LongestOldestWait.TotalSeconds + 2e-6);
        var own = activities.Where(a => Equals(a.GetTagItem("mark.model"), Model)).ToArray();
        Assert.Equal(["full", "idle_instance", "idle_instance"], own.Select(a => (string?)a.GetTagItem("mark.batch.reason")).Order());
        Assert.All(own, a => Assert.IsType<double>(a.GetTagItem("mark.batch.oldest_wait")));
        Assert.All(own, a => Assert.Equal("local-0", a.GetTagItem("mark.instance.id")));

        void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var all = tags.ToArray();
            if (all.Any(t => t.Key == "mark.model" && Equals(t.Value, Model)))
            {
                measured.Enqueue((instrument.Name, value, all.FirstOrDefault(t => t.Key == "mark.batch.reason").Value as string));
            }
        }
    }
}
