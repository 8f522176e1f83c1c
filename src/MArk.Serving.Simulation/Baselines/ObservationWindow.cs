namespace MArk.Serving.Simulation.Baselines;

/// <summary>The slots of the last while; of one that is longer than that, the last.</summary>
internal sealed class ObservationWindow(TimeSpan length)
{
    private readonly Queue<FleetObservation> _slots = new();

    /// <summary>Whether nothing has been observed.</summary>
    public bool IsEmpty => _slots.Count == 0;

    /// <summary>The mean over the time that was observed of the window; 0 if none was.</summary>
    public double MeanConcurrency => Mean(static slot => slot.MeanConcurrency);

    /// <summary>The mean over the time that was observed of the window; 0 if none was.</summary>
    public double MeanReady => Mean(static slot => slot.MeanReady);

    /// <summary>Completions per second of the time that was observed of the window; 0 if none was.</summary>
    public double CompletionRate => Mean(static slot => slot.Completions / slot.Length.TotalSeconds);

    public void Add(in FleetObservation slot)
    {
        var from = slot.Start + slot.Length - length;
        _slots.Enqueue(slot);
        while (_slots.Count > 1 && _slots.Peek().Start < from)
        {
            _slots.Dequeue();
        }
    }

    private double Mean(Func<FleetObservation, double> value)
    {
        double sum = 0, seconds = 0;
        foreach (var slot in _slots)
        {
            sum += value(slot) * slot.Length.TotalSeconds;
            seconds += slot.Length.TotalSeconds;
        }
        return seconds > 0 ? sum / seconds : 0;
    }
}
