namespace MArk.Serving;

/// <summary>Where compute comes from: the life cycle of machines, and nothing about models.</summary>
/// <remarks>Called from the engine's control loop, one call a machine at a time; calls for different machines may overlap.</remarks>
public interface IInstanceProvider
{
    /// <summary>What can be launched. Names are unique; the list does not change.</summary>
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
    /// <returns>The changes, as they happen.</returns>
    IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken);
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

    /// <summary>The shortest time a machine is billed for, once launched.</summary>
    public TimeSpan MinimumBilling { get; init; }

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

    /// <summary>Kept stopped, and started when it is wanted.</summary>
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
