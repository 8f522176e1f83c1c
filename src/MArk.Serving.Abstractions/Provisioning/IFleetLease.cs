namespace MArk.Serving;

/// <summary>
/// Says which of several hosts keeps a fleet: at most one at a time holds the fleet's lease, and only it launches and ends machines. The others wait; when its lease runs out or
/// is given back, one of them takes it, and adopts the machines there are.
/// </summary>
/// <remarks>One call at a time from each holder; calls of different holders overlap.</remarks>
public interface IFleetLease
{
    /// <summary>Takes the lease, or keeps it for a further while.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="holder">Who asks: another value for each host, and for each start of it.</param>
    /// <param name="duration">For how long from now on, unless it is kept again or given back: more than 0. The same for all holders of a fleet.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether the caller holds the lease; <see langword="false"/> while another does.</returns>
    /// <exception cref="FleetLeaseException">What says who holds it cannot be used; says why and what becomes of it.</exception>
    ValueTask<bool> TryHoldAsync(string fleet, string holder, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Gives the lease back, so that another may take it at once. Where another holds it by now, nothing is done.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="holder">Who held it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When it is given back.</returns>
    ValueTask ReleaseAsync(string fleet, string holder, CancellationToken cancellationToken);
}

/// <summary>A fleet's lease can be neither taken nor kept.</summary>
public sealed class FleetLeaseException : ServingException
{
    /// <summary>A lease that cannot be used.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="message">What is wrong, and what becomes of it.</param>
    /// <param name="innerException">The cause.</param>
    public FleetLeaseException(string fleet, string message, Exception? innerException = null)
        : base($"The lease of fleet '{fleet}' {message}", innerException) => Fleet = fleet;

    /// <summary>The fleet's name.</summary>
    public string Fleet { get; }
}
