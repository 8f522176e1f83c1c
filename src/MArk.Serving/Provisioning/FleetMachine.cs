namespace MArk.Serving.Provisioning;

/// <summary>Where a machine is in the controller's eyes.</summary>
internal enum FleetMachineState : byte
{
    /// <summary>The provider was asked for it.</summary>
    Requested = 0,

    /// <summary>The provider was asked for it, and whether it comes is not known: the call ended without an answer, or took too long.</summary>
    InDoubt,

    /// <summary>The provider has it, and it does not run yet.</summary>
    Pending,

    /// <summary>The model is being loaded on it.</summary>
    Connecting,

    /// <summary>It serves.</summary>
    Ready,

    /// <summary>It finishes what it has.</summary>
    Draining,

    /// <summary>The provider was asked to end it.</summary>
    Terminating,
}

internal sealed class FleetMachine(string launchId, int offering, DateTimeOffset requestedAt)
{
    public string LaunchId { get; } = launchId;

    public int Offering { get; } = offering;

    public DateTimeOffset RequestedAt { get; } = requestedAt;

    /// <summary>It was there before this controller asked for it.</summary>
    public bool IsAdopted { get; init; }

    public string? InstanceId { get; set; }

    /// <summary>Since when it has been waited for, as long as it may take.</summary>
    public DateTimeOffset AwaitedFrom { get; set; } = requestedAt;

    /// <summary>When the call ended that left it in doubt; the end of time while it has not.</summary>
    public DateTimeOffset CallEndedAt { get; set; }

    /// <summary>When the provider named it.</summary>
    public DateTimeOffset AcceptedAt { get; set; }

    public FleetMachineState State { get; set; }

    /// <summary>It is not wanted any more. One that is still requested or connecting is ended as soon as that is possible, unless it is wanted again.</summary>
    public bool IsUnwanted { get; set; }

    /// <summary>Another host keeps the fleet: the machine is left as it is, and given up once it has finished what it has from here.</summary>
    public bool IsHandedOver { get; set; }

    /// <summary>Its provider will take it away.</summary>
    public bool IsInterrupted { get; set; }

    /// <summary>How often ending it failed, and when to try again.</summary>
    public int TerminateFailures { get; set; }

    public DateTimeOffset? RetryAt { get; set; }

    /// <summary>On its way, and wanted.</summary>
    public bool IsComing => !IsUnwanted && State is (FleetMachineState.Requested or FleetMachineState.Pending or FleetMachineState.Connecting);

    /// <summary>Serving or on its way, and wanted.</summary>
    public bool IsActive => !IsUnwanted && State is not (FleetMachineState.InDoubt or FleetMachineState.Draining or FleetMachineState.Terminating);
}
