namespace MArk.Serving.Provisioning;

/// <summary>What the driver is to do.</summary>
internal enum FleetCommandKind : byte
{
    /// <summary>Ask the provider for <see cref="FleetCommand.Launch"/>, and cancel the call at <see cref="FleetCommand.At"/>.</summary>
    Launch = 0,

    /// <summary>Load the model on <see cref="FleetCommand.Instance"/>, warm it up, and give it to the scheduler.</summary>
    Connect,

    /// <summary>Let the scheduler finish what the instance has, and give it nothing new.</summary>
    Drain,

    /// <summary>End the machine.</summary>
    Terminate,

    /// <summary>Take the instance from the scheduler: it is gone.</summary>
    Lose,

    /// <summary>Stop the machine and keep it, and cancel the call at <see cref="FleetCommand.At"/>; then <c>OnStopped</c>, or <c>OnStopFailed</c>.</summary>
    Stop,

    /// <summary>Start the stopped machine, and cancel the call at <see cref="FleetCommand.At"/>; then <c>OnStarted</c>, or <c>OnStartFailed</c>.</summary>
    Start,

    /// <summary>Have <see cref="FleetCommand.Concurrency"/> environments of the spillover target warm, if it has such.</summary>
    Prewarm,

    /// <summary>Ask the provider what there is, from now on; then <c>OnListed</c>.</summary>
    List,

    /// <summary>Call <c>OnWakeUp</c> at <see cref="FleetCommand.At"/>, instead of any instant named before.</summary>
    WakeAt,

    /// <summary>Run <see cref="FleetCommand.Training"/> on a thread of its own; then <c>OnTrained</c>, or <c>OnTrainingFailed</c>.</summary>
    Train,

    /// <summary>Log <see cref="FleetCommand.Explanation"/>: the plan is another than before.</summary>
    Explain,

    /// <summary>Report <see cref="FleetCommand.Error"/>.</summary>
    Fault,
}

/// <summary>One command. Only the members its kind names are set.</summary>
internal readonly record struct FleetCommand(FleetCommandKind Kind)
{
    public LaunchRequest? Launch { get; init; }

    public InstanceDescriptor? Instance { get; init; }

    public string? InstanceId { get; init; }

    /// <summary>The offering's index, with <see cref="FleetCommandKind.Launch"/>, <see cref="FleetCommandKind.Connect"/> and <see cref="FleetCommandKind.Start"/>.</summary>
    public int Offering { get; init; }

    public int Concurrency { get; init; }

    public DateTimeOffset At { get; init; }

    public ITrainingJob? Training { get; init; }

    public PlanExplanation? Explanation { get; init; }

    public ServingException? Error { get; init; }
}
