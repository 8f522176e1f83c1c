using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>Hears what the meter <c>MArk.Serving</c> tells of one model.</summary>
internal sealed class MeterProbe : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly string _model;
    private readonly ConcurrentQueue<Measured> _heard = new();
    private readonly ConcurrentDictionary<string, Instrument> _instruments = new();

    public MeterProbe(string model)
    {
        _model = model;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "MArk.Serving")
            {
                _instruments[instrument.Name] = instrument;
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.Start();
    }

    public Instrument Instrument(string name) => _instruments[name];

    /// <summary>What an instrument that is recorded to has told so far.</summary>
    public IReadOnlyList<Measured> Recorded(string instrument) => [.. _heard.Where(m => m.Instrument == instrument)];

    /// <summary>What an observed instrument says now, by the value of a tag; by nothing where it has none but the model.</summary>
    public IReadOnlyDictionary<string, double> Observe(string instrument, string tag = "")
    {
        var seen = _heard.Count;
        _listener.RecordObservableInstruments();
        return _heard.Skip(seen).Where(m => m.Instrument == instrument).ToDictionary(m => m.Tags.GetValueOrDefault(tag, ""), m => m.Value);
    }

    public void Dispose() => _listener.Dispose();

    private void Hear(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var all = tags.ToArray().ToDictionary(t => t.Key, t => $"{t.Value}");
        if (all.GetValueOrDefault("mark.model") == _model)
        {
            _heard.Enqueue(new Measured(instrument.Name, value, all));
        }
    }

    internal sealed record Measured(string Instrument, double Value, IReadOnlyDictionary<string, string> Tags);
}
