namespace MArk.Serving.Provisioning;

/// <summary>What has happened to a fleet since its start, counted.</summary>
internal sealed record FleetTally
{
    /// <summary>Launches that failed, by <see cref="LaunchFailure"/>; a connection that failed counts as unknown.</summary>
    public long[] LaunchFailures { get; private init; } = new long[Enum.GetValues<LaunchFailure>().Length];

    /// <summary>Machines that were given up because they did not become ready in time.</summary>
    public long NeverReady { get; set; }

    /// <summary>Machines whose provider took them away: told beforehand, or, of spot ones, lost.</summary>
    public long Interruptions { get; set; }

    /// <summary>Starts of stopped standby machines that were accepted.</summary>
    public long Resumptions { get; set; }

    /// <summary>Plans that something kept from being another, by <see cref="PlanBoundKind"/>.</summary>
    public long[] Bounds { get; private init; } = new long[Enum.GetValues<PlanBoundKind>().Length];

    /// <summary>Times that the objective was broken, after it had been kept for a while.</summary>
    public long SloBreaks { get; init; }

    public FleetTally Copy() => this with { LaunchFailures = [.. LaunchFailures], Bounds = [.. Bounds] };
}
