using System.Diagnostics;
using System.Diagnostics.Metrics;
using MArk.Serving.Engine;

namespace MArk.Serving.Diagnostics;

/// <summary>What the engine tells OpenTelemetry: meter and activity source <c>MArk.Serving</c>. Costs next to nothing while nobody listens.</summary>
internal sealed class ServingInstruments
{
    public const string Name = "MArk.Serving";

    public static readonly ActivitySource Activities = new(Name);

    // Explicit, so that the histograms of several hosts aggregate.
    private static readonly double[] Seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10];
    private static readonly double[] Waits = [0.0001, 0.00025, 0.0005, .. Seconds];
    private static readonly int[] Sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

    private static readonly KeyValuePair<string, object?> ByInstance = new("mark.request.served_by", "instance");
    private static readonly KeyValuePair<string, object?> BySpillover = new("mark.request.served_by", "spillover");
    private static readonly KeyValuePair<string, object?>[] Reasons = [.. Enum.GetValues<BatchReason>().Select(r => new KeyValuePair<string, object?>("mark.batch.reason", NameOf(r)))];

    private readonly Histogram<double> _duration;
    private readonly Histogram<int> _batchSize;
    private readonly Histogram<double> _oldestWait;
    private readonly KeyValuePair<string, object?> _model;

    public ServingInstruments(Meter meter, IReportSource source)
    {
        _model = new("mark.model", source.ModelName);
        _duration = meter.CreateHistogram(
            "mark.serving.request.duration", "s", "From a request's arrival to its answer, of those answered well.", tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = Seconds });
        _batchSize = meter.CreateHistogram(
            "mark.serving.batch.size", "{request}", "Requests of a batch that ran.", tags: null, new InstrumentAdvice<int> { HistogramBucketBoundaries = Sizes });
        _oldestWait = meter.CreateHistogram(
            "mark.serving.batch.oldest_wait", "s", "How long the oldest request of a batch had waited when it left.", tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = Waits });
        meter.CreateObservableCounter("mark.serving.requests", () => Requests(source), "{request}", "Requests that have ended, by outcome.");
        meter.CreateObservableCounter("mark.serving.spillover.requests", () => Measure(source, s => s.Spilled), "{request}", "Requests that the spillover target answered.");
        meter.CreateObservableUpDownCounter("mark.serving.queue.length", () => Measure(source, s => s.Waiting), "{request}", "Requests that wait.");
        meter.CreateObservableUpDownCounter("mark.serving.queue.bytes", () => Measure(source, s => s.WaitingBytes), "By", "Bytes that the inputs of waiting requests hold.");
        meter.CreateObservableUpDownCounter("mark.serving.instances", () => Instances(source), "{instance}", "Instances, by state; each is in one.");
        meter.CreateObservableCounter("mark.serving.batch.extra_runs", () => Measure(source, s => s.ByReason[(int)BatchReason.Retry]), "{batch}", "Runs that were needed to find which requests of failed batches were at fault.");
        _ = new FleetInstruments(meter, source);
    }

    /// <summary>A reason as telemetry names it.</summary>
    public static string NameOf(BatchReason reason) => reason switch
    {
        BatchReason.Full => "full",
        BatchReason.Deadline => "deadline",
        BatchReason.HoldEnded => "hold_ended",
        BatchReason.IdleInstance => "idle_instance",
        BatchReason.Drain => "drain",
        BatchReason.Late => "late",
        BatchReason.Retry => "retry",
        _ => "unknown",
    };

    /// <summary>
    /// Tells of a batch, or of a spilled request, that takes no answer any more: once, however many threads find it so. Outside the engine's lock, since a listener is foreign code.
    /// </summary>
    public void Record<TIn, TOut>(BatchWork<TIn, TOut> work)
    {
        if (!(_batchSize.Enabled || _oldestWait.Enabled || _duration.Enabled) || !work.TryRecord())
        {
            return;
        }
        if (_batchSize.Enabled && !work.IsSpilled)
        {
            _batchSize.Record(work.Count, _model, Reasons[(int)work.Reason]);
        }
        if (_oldestWait.Enabled && !work.IsSpilled)
        {
            _oldestWait.Record(work.OldestWait.TotalSeconds, _model, Reasons[(int)work.Reason]);
        }
        if (_duration.Enabled)
        {
            for (var i = 0; i < work.Count; i++)
            {
                if (work.IsAnsweredWell(i))
                {
                    _duration.Record(work.Latency(i).TotalSeconds, _model, work.IsSpilled ? BySpillover : ByInstance);
                }
            }
        }
    }

    private Measurement<long> Measure(IReportSource source, Func<Snapshot, long> value)
    {
        var snapshot = new Snapshot();
        source.Take(snapshot);
        return new Measurement<long>(value(snapshot), _model);
    }

    private IEnumerable<Measurement<long>> Requests(IReportSource source)
    {
        var s = new Snapshot();
        source.Take(s);
        (string Outcome, long Count)[] all =
        [
            ("in_time", s.InTime), ("late", s.Succeeded - s.InTime), ("failed", s.Failed), ("rejected", s.Rejected), ("cancelled", s.Cancelled), ("invalid", s.Invalid),
        ];
        return all.Select(o => new Measurement<long>(o.Count, _model, new KeyValuePair<string, object?>("mark.request.outcome", o.Outcome)));
    }

    private IEnumerable<Measurement<long>> Instances(IReportSource source)
    {
        var s = new Snapshot();
        source.Take(s);
        // The fleet is counted by its own loop, which may be behind the scheduler.
        var ready = Math.Max(0, s.Fleet.Ready - s.OutOfRotation);
        (string State, int Count)[] all = [("ready", ready), ("launching", s.Fleet.Launching), ("draining", s.Fleet.Draining), ("out", s.OutOfRotation)];
        return all.Select(o => new Measurement<long>(o.Count, _model, new KeyValuePair<string, object?>("mark.instance.state", o.State)));
    }
}
