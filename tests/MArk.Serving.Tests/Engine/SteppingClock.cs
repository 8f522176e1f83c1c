namespace MArk.Serving.Tests.Engine;

/// <summary>The system's clock, ahead of it by as much as a test says: by it, what takes no time took long.</summary>
internal sealed class SteppingClock : TimeProvider
{
    private long _ahead;

    public void Step(TimeSpan by) => Interlocked.Add(ref _ahead, (long)(by.TotalSeconds * TimestampFrequency));

    public override long GetTimestamp() => base.GetTimestamp() + Volatile.Read(ref _ahead);
}
