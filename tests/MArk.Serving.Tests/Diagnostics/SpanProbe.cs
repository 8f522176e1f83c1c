using System.Collections.Concurrent;
using System.Diagnostics;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>Keeps the spans of one model that have ended.</summary>
internal sealed class SpanProbe : IDisposable
{
    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ActivityListener _listener;
    private readonly string _model;

    public SpanProbe(string model)
    {
        _model = model;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "MArk.Serving",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public IReadOnlyList<Activity> Spans => [.. _ended.Where(a => Equals(a.GetTagItem("mark.model"), _model))];

    public void Dispose() => _listener.Dispose();
}
