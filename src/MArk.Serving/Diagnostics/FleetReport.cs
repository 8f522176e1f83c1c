namespace MArk.Serving.Diagnostics;

/// <summary>How a model's fleet fares: counts since the start, and what is so now.</summary>
public sealed record FleetReport
{
    /// <summary>Whether this host keeps the fleet; not while another one holds its lease, or nobody can: <see cref="IFleetLease"/>.</summary>
    public required bool IsKeeper { get; init; }

    /// <summary>What all machines together cost an hour, those included that drain, are being ended or may yet come, US dollars.</summary>
    public required decimal HourlySpend { get; init; }

    /// <summary>Launches that failed, by reason; every reason is there. A machine that could not be connected, or never served, counts as <see cref="LaunchFailure.Unknown"/>.</summary>
    public required IReadOnlyDictionary<LaunchFailure, long> LaunchFailures { get; init; }

    /// <summary>Machines that were given up since they did not serve in time: <see cref="Provisioning.FleetOptions.ReadyTimeout"/>.</summary>
    public required long NeverReady { get; init; }

    /// <summary>Machines whose provider took them away: told beforehand, or, of spot ones, lost.</summary>
    public required long Interruptions { get; init; }

    /// <summary>Standby machines that are stopped, and can be started.</summary>
    public required int StoppedInstances { get; init; }

    /// <summary>Times that a standby machine was started to stand in for others.</summary>
    public required long Resumptions { get; init; }

    /// <summary>Times that the objective was broken, after it had been kept for a while: <see cref="Provisioning.FleetOptions.SloWindow"/>.</summary>
    public required long SloBreaches { get; init; }

    /// <summary>The share of requests within that window that were answered in time; 1 if there were none.</summary>
    public required double RecentAttainment { get; init; }

    /// <summary>Plans that something kept from being another, by what it was; every kind is there.</summary>
    public required IReadOnlyDictionary<PlanBoundKind, long> PlanBounds { get; init; }
}
