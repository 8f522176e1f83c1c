using System.Globalization;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// The autoscaler of Ray Serve, by its defaults: all ongoing requests, the mean of the last 30 s, over the target of one instance, rounded up; carried out once it has asked for more
/// all through 30 s, or for fewer all through 600 s.
/// </summary>
/// <remarks>
/// <para>
/// By the Ray documentation ("Advanced Ray Serve Autoscaling") and its code (<c>python/ray/serve/autoscaling_policy.py</c>). What is carried out is the number at the end of the delay, not
/// one of those before; where it asks for neither more nor fewer, or for the other, the delay begins anew. Where none serves, one is had without
/// delay, and no more until it does; to none it goes only from one.
/// </para>
/// <para>Ray counts decisions of a loop of 0.1 s, so many that they make up the delay; here the time since the first of them is taken, which is the same at any rhythm.</para>
/// <para>The simulation is to have no spillover, the batch policy that it is compared with, and the fleet options of <see cref="Configure"/>.</para>
/// </remarks>
public sealed class RayServePlanner : IProvisioningPlanner, IFleetObserver
{
    private static readonly TimeSpan LookBack = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan UpscaleDelay = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan DownscaleDelay = TimeSpan.FromSeconds(600);

    private readonly SingleOffering _offering;
    private readonly double _target;
    private readonly ObservationWindow _recent = new(LookBack);
    private int? _desired;
    private int _direction;                 // what has been asked for since then: 1 more, -1 fewer, 0 neither
    private DateTimeOffset _directionSince;

    /// <summary>An autoscaler.</summary>
    /// <param name="offering">The name of the offering its instances are of.</param>
    /// <param name="targetOngoingRequests">How many requests one instance is to have, waiting or running; more than 0. <see cref="TargetConcurrency"/> says how many; Ray's own default is 2.</param>
    /// <exception cref="ArgumentOutOfRangeException">The target is outside its range.</exception>
    public RayServePlanner(string offering, double targetOngoingRequests)
    {
        TargetConcurrency.ThrowIfNone(targetOngoingRequests);
        _offering = new SingleOffering(offering);
        _target = targetOngoingRequests;
    }

    /// <summary>How often it is to be asked: 5 s, every slot.</summary>
    public static TimeSpan PlanInterval { get; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the slots are to be that it observes: 5 s; any length that divides it does too.</summary>
    public static TimeSpan SampleInterval { get; } = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public bool MayBeExceeded => false;

    /// <summary>Sets the fleet that it keeps: <see cref="PlanInterval"/>, <see cref="SampleInterval"/>, a horizon of 1, and neither a cool-down nor a monitor beside its own rules.</summary>
    /// <param name="options">The options to set; the rest of them stays.</param>
    public static void Configure(FleetOptions options) => ReactiveFleet.Configure(options, PlanInterval, SampleInterval);

    /// <inheritdoc/>
    public void Observe(in FleetObservation observation) => _recent.Add(observation);

    /// <inheritdoc/>
    /// <exception cref="InvalidProvisioningInputException">Its offering is not among the context's; names those there are.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var index = _offering.IndexIn(context);
        var state = context.Offerings[index];
        var current = SingleOffering.Bounded(context, _desired ?? state.Active);
        double wish = current;
        var summary = "nothing was observed yet: nothing is done";
        if (!_recent.IsEmpty)
        {
            wish = Math.Ceiling(_recent.MeanConcurrency / _target);
            summary = string.Create(CultureInfo.InvariantCulture, $"{_recent.MeanConcurrency:0.#} ongoing requests, target {_target:0.##} each: {wish:0} wanted");
        }
        var wanted = SingleOffering.Bounded(context, wish);
        _desired = state.Ready == 0 ? Math.Max(current, Math.Min(wanted, 1)) : Delayed(context.Now, wanted, current);
        SingleOffering.Plan(context, plan, index, _desired.Value, wish, summary);
    }

    private int Delayed(DateTimeOffset now, int wanted, int current)
    {
        var direction = Math.Sign(wanted - current);
        if (direction != _direction)
        {
            (_direction, _directionSince) = (direction, now);
        }
        if (direction == 0 || now - _directionSince < (direction > 0 ? UpscaleDelay : DownscaleDelay))
        {
            return current;
        }
        _direction = 0;
        return current > 1 ? Math.Max(1, wanted) : wanted;
    }
}
