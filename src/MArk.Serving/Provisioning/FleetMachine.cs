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

    /// <summary>The provider was asked to stop it and keep it.</summary>
    Stopping,

    /// <summary>It is kept, and does not run.</summary>
    Stopped,

    /// <summary>The provider was asked to start it again, and it does not run yet.</summary>
    Starting,
}

internal sealed class FleetMachine(string launchId, int offering, DateTimeOffset requestedAt)
{
    public string LaunchId { get; } = launchId;

    public int Offering { get; } = offering;

    public DateTimeOffset RequestedAt { get; } = requestedAt;

    /// <summary>It was there before this controller asked for it.</summary>
    public bool IsAdopted { get; init; }

    /// <summary>It is kept to stand in for others, stopped while it need not, and no part of the plan.</summary>
    public bool IsStandby { get; init; }

    public string? InstanceId { get; set; }

    /// <summary>What the provider told of it when it ran last.</summary>
    public InstanceDescriptor? Running { get; set; }

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

    /// <summary>When it will, if that is known.</summary>
    public DateTimeOffset? InterruptedAt { get; set; }

    /// <summary>When it was asked to start again, while it does not serve yet.</summary>
    public DateTimeOffset? ResumedAt { get; set; }

    /// <summary>It was stopped when it was last known whether it runs.</summary>
    public bool IsBilledStopped { get; set; }

    /// <summary>It costs its stopped price for certain: not while a call may change that.</summary>
    public bool CostsStopped { get; set; }

    /// <summary>A call to stop or start it is under way; another waits for its end.</summary>
    public bool IsBeingCalled { get; set; }

    /// <summary>It has served, and teaches nothing of how long a launch takes any more.</summary>
    public bool HasServed { get; set; }

    /// <summary>When it was last known that it had stopped or started: a list that was asked for before tells nothing of that.</summary>
    public DateTimeOffset SettledAt { get; set; }

    /// <summary>How often ending, stopping or starting it has failed in a row, and when to try again.</summary>
    public int CallFailures { get; set; }

    public DateTimeOffset? RetryAt { get; set; }

    /// <summary>On its way, and wanted by the plan.</summary>
    public bool IsComing => !IsStandby && !IsUnwanted && IsOnItsWay;

    /// <summary>Serving or on its way, and wanted by the plan.</summary>
    public bool IsActive => IsComing || (!IsStandby && !IsUnwanted && State == FleetMachineState.Ready);

    /// <summary>A standby machine that serves, or does soon.</summary>
    public bool StandsIn => IsStandby && !IsUnwanted && State is (FleetMachineState.Ready or FleetMachineState.Connecting or FleetMachineState.Starting);

    public bool IsOnItsWay => State is (FleetMachineState.Requested or FleetMachineState.Pending or FleetMachineState.Connecting or FleetMachineState.Starting);
}
