using MArk.Serving.DependencyInjection;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>How one engine of a benchmark is set up.</summary>
internal sealed record EngineSettings
{
    public required string Name { get; init; }

    public required TimeSpan Slo { get; init; }

    public required int Instances { get; init; }

    public required int MaxBatch { get; init; }

    /// <summary>What each request asks for.</summary>
    public WhenUnreachable WhenUnreachable { get; init; } = WhenUnreachable.ServeLate;

    /// <summary>Anything else.</summary>
    public Action<ModelBuilder<float[], float[]>>? Configure { get; init; }
}
