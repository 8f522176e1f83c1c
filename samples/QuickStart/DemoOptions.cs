namespace QuickStart;

internal sealed record DemoOptions
{
    public string? TraceFile { get; init; }

    public string? ModelFile { get; init; }

    public TimeSpan Slo { get; init; }

    public TimeSpan Duration { get; init; }

    public int Seed { get; init; }
}
