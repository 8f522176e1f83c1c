namespace MArk.Serving;

/// <summary>Where compute comes from: the life cycle of machines, and nothing about models.</summary>
/// <remarks>
/// Called from the engine's control loop, one call a machine at a time, except that a machine may be terminated while an <see cref="IStandbyProvider"/> stops or starts it; calls for
/// different machines may overlap.
/// </remarks>
public interface IInstanceProvider
{
    /// <summary>Makes the provider ready, once, at the host's start, before anything else is asked of it: prices may be looked up, for instance.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When it is ready.</returns>
    ValueTask InitializeAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>What can be launched. Names are unique; the list does not change once the provider is initialized.</summary>
    IReadOnlyList<InstanceOffering> Offerings { get; }

    /// <summary>Begins to launch one machine and returns when the launch is accepted, not when the machine runs.</summary>
    /// <param name="request">What to launch. The same <see cref="LaunchRequest.LaunchId"/> never launches twice.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The machine, usually <see cref="InstanceState.Pending"/>.</returns>
    /// <exception cref="InstanceLaunchException">The machine cannot be had; says why.</exception>
    ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken);

    /// <summary>Ends a machine. Ending one that is already gone succeeds.</summary>
    /// <param name="instanceId">The machine's identifier.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When the machine costs nothing more.</returns>
    ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken);

    /// <summary>The machines of a fleet that are not terminated, whoever launched them.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The machines.</returns>
    ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken);

    /// <summary>Changes of a fleet's machines from now on: running, about to be interrupted, gone.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes, as they happen; those of one machine in their order.</returns>
    IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken);
}

/// <summary>A provider whose machines can be stopped, kept, and started again: what offerings of <see cref="InstanceMarket.Standby"/> need.</summary>
/// <remarks>
/// A machine is not stopped while it is being started, nor the other way round. A stopped machine is in the fleet's list, as <see cref="InstanceState.Stopped"/>.
/// </remarks>
public interface IStandbyProvider : IInstanceProvider
{
    /// <summary>Stops a machine and keeps it. Stopping one that is stopped succeeds. Where the call fails, it is repeated.</summary>
    /// <param name="instanceId">The machine's identifier.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When the machine costs no more than <see cref="InstanceOffering.StoppedPricePerHour"/>.</returns>
    ValueTask StopAsync(string instanceId, CancellationToken cancellationToken);

    /// <summary>
    /// Begins to start a stopped machine and returns when that is accepted; that it runs is told by the watch or the list, with its new <see cref="InstanceDescriptor.Endpoint"/>.
    /// Starting one that runs succeeds.
    /// </summary>
    /// <param name="instanceId">The machine's identifier.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When it is accepted.</returns>
    /// <exception cref="InstanceLaunchException">The machine cannot be started; says why.</exception>
    ValueTask StartAsync(string instanceId, CancellationToken cancellationToken);
}

/// <summary>A kind of machine that can be launched.</summary>
public sealed record InstanceOffering
{
    /// <summary>The offering's name, unique within its provider: an instance type, usually.</summary>
    public required string Name { get; init; }

    /// <summary>How the machine is bought. Default <see cref="InstanceMarket.OnDemand"/>.</summary>
    public InstanceMarket Market { get; init; }

    /// <summary>What one machine costs, US dollars per hour.</summary>
    public decimal PricePerHour { get; init; }

    /// <summary>What the same machine costs on demand, US dollars per hour, where it is bought otherwise; <see langword="null"/>: <see cref="PricePerHour"/>. Savings are reckoned against it.</summary>
    public decimal? OnDemandPricePerHour { get; init; }

    /// <summary>From the launch call until the machine serves, as far as it is known beforehand.</summary>
    public TimeSpan LaunchDelay { get; init; }

    /// <summary>The shortest time a machine is billed for, once launched or started again.</summary>
    public TimeSpan MinimumBilling { get; init; }

    /// <summary>
    /// How often its provider is expected to take a machine away, per machine and hour: a finite number of at least 0. Default 0; more only where <see cref="Market"/> is
    /// <see cref="InstanceMarket.Spot"/>. Planning adds what an interruption costs, so many times an hour, to the price.
    /// </summary>
    public double InterruptionsPerHour { get; init; }

    /// <summary>What a stopped machine costs, for its storage, US dollars per hour: 0 to <see cref="PricePerHour"/>. Default 0; more only where <see cref="Market"/> is <see cref="InstanceMarket.Standby"/>.</summary>
    public decimal StoppedPricePerHour { get; init; }

    /// <summary>
    /// From the call that starts a stopped machine until it serves, as far as it is known beforehand: at least 0. Default 0; more only where <see cref="Market"/> is
    /// <see cref="InstanceMarket.Standby"/>.
    /// </summary>
    public TimeSpan ResumeDelay { get; init; }

    /// <summary>The most machines of this kind at a time.</summary>
    public int MaxInstances { get; init; } = int.MaxValue;

    /// <summary>
    /// How many times slower than measured such a machine is made to behave, so that a laptop can stand in for a slower device; 1 for a
    /// real machine. Whatever shows figures of an offering with another value says so.
    /// </summary>
    public double DeviceTimeScale { get; init; } = 1;
}

/// <summary>How a machine is bought.</summary>
public enum InstanceMarket
{
    /// <summary>At the list price, for as long as it is wanted.</summary>
    OnDemand = 0,

    /// <summary>At a lower price, until its provider takes it away.</summary>
    Spot,

    /// <summary>Kept stopped, and started when it is wanted, by an <see cref="IStandbyProvider"/>. Not planned: how many are had is <c>Fleet:StandbyInstances</c>.</summary>
    Standby,
}

/// <summary>What to launch.</summary>
/// <param name="LaunchId">Identifies the intended launch: repeating a call with the same value never launches a second machine.</param>
/// <param name="Fleet">The fleet the machine belongs to.</param>
/// <param name="OfferingName">The kind of machine.</param>
public sealed record LaunchRequest(string LaunchId, string Fleet, string OfferingName);

/// <summary>Where a machine is in its life.</summary>
public enum InstanceState
{
    /// <summary>Launched, not yet running.</summary>
    Pending = 0,

    /// <summary>Running: a runner can connect to it.</summary>
    Running,

    /// <summary>Running, but its provider will take it away soon.</summary>
    Interrupting,

    /// <summary>Gone.</summary>
    Terminated,

    /// <summary>Stopped and kept: it costs <see cref="InstanceOffering.StoppedPricePerHour"/>, and can be started again.</summary>
    Stopped,
}

/// <summary>One machine, as its provider knows it.</summary>
public sealed record InstanceDescriptor
{
    /// <summary>The machine's identifier, unique within its provider.</summary>
    public required string Id { get; init; }

    /// <summary>The launch it came from.</summary>
    public required string LaunchId { get; init; }

    /// <summary>The kind of machine.</summary>
    public required string OfferingName { get; init; }

    /// <summary>Where it is in its life.</summary>
    public InstanceState State { get; init; }

    /// <summary>When it began to cost money, UTC.</summary>
    public DateTimeOffset BilledFrom { get; init; }

    /// <summary>When its provider takes a machine away that is <see cref="InstanceState.Interrupting"/>, UTC; <see langword="null"/> where that is not known.</summary>
    public DateTimeOffset? InterruptedAt { get; init; }

    /// <summary>Where a remote machine answers; <see langword="null"/> in this process.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The threads a machine in this process may compute on; 0 if that does not apply.</summary>
    public int Threads { get; init; }

    /// <summary>The share of the machine's capacity this host may use: more than 0, at most 1.</summary>
    public double Share { get; init; } = 1;

    /// <summary>As <see cref="InstanceOffering.DeviceTimeScale"/>.</summary>
    public double DeviceTimeScale { get; init; } = 1;
}

/// <summary>Why a machine could not be launched.</summary>
public enum LaunchFailure
{
    /// <summary>Anything else; trying again may help.</summary>
    Unknown = 0,

    /// <summary>The provider has no such machine to give now.</summary>
    InsufficientCapacity,

    /// <summary>The account, or the offering's <see cref="InstanceOffering.MaxInstances"/>, allows no more.</summary>
    QuotaExceeded,

    /// <summary>Too many calls; try later.</summary>
    Throttled,

    /// <summary>The offering, image or permission is wrong: trying again does not help.</summary>
    Misconfigured,
}

/// <summary>A machine could not be launched.</summary>
public sealed class InstanceLaunchException : ServingException
{
    /// <summary>A launch that failed.</summary>
    /// <param name="offeringName">What was to be launched.</param>
    /// <param name="failure">Why it was not.</param>
    /// <param name="message">What the provider said.</param>
    /// <param name="innerException">The cause.</param>
    public InstanceLaunchException(string offeringName, LaunchFailure failure, string message, Exception? innerException = null)
        : base($"Offering '{offeringName}' could not be launched ({failure}): {message}", innerException)
    {
        OfferingName = offeringName;
        Failure = failure;
    }

    /// <summary>What was to be launched.</summary>
    public string OfferingName { get; }

    /// <summary>Why it was not.</summary>
    public LaunchFailure Failure { get; }
}
