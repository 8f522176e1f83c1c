using System.Globalization;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// The autoscaler of a SageMaker endpoint: target tracking on <c>SageMakerVariantInvocationsPerInstance</c>, which is what the paper compares with. The target is what one instance serves
/// at most in a minute, times a safety factor; the endpoint is homogeneous, and instances serve one request at a time.
/// </summary>
/// <remarks>
/// <para>
/// By the SageMaker developer guide ("Automatic scaling of Amazon SageMaker AI models") and the Application Auto Scaling user guide ("How target tracking scaling works"). Where three
/// points in a row lie above the target, n x metric / target instances are had, rounded up; n are those that served in the minute of the last point, so that instances on their way count
/// as capacity already asked for. Where 15 points in a row lie below 0.9 of it, one step of instances is let go, but never so many that those left would be above the target. A
/// minute that was not observed whole, or had no instance, has no data and blocks both; a minute without requests is a zero, as SageMaker emits it.
/// </para>
/// <para>
/// During the cool-down of an addition only one is made that adds more to the instances in service than that one did; an addition ends the cool-down of letting go. Cool-downs begin
/// with the decision, which is the earliest they could.
/// </para>
/// <para>
/// The simulation is to have <see cref="SimulationSettings.MaxBatchSize"/> 1, no spillover, on-demand offerings at the list prices of SageMaker that take 6 min to launch, and the fleet
/// options of <see cref="Configure"/>. What one instance serves at most is its capacity as first told: found by a load test, and then a setting.
/// </para>
/// </remarks>
public sealed class SageMakerTargetTrackingPlanner : IProvisioningPlanner, IFleetObserver
{
    private readonly SageMakerTargetTrackingOptions _options;
    private readonly SingleOffering _offering;
    private readonly InvocationsPerInstance _metric;
    private double _targetPerMinute;
    private int? _desired;
    private long _decidedPoints;
    private DateTimeOffset _outUntil = DateTimeOffset.MinValue;
    private DateTimeOffset _inUntil = DateTimeOffset.MinValue;
    private int _outStep;       // what the addition that began the cool-down added to the instances in service

    /// <summary>An autoscaler.</summary>
    /// <param name="offering">The name of the offering its instances are of; <see cref="CheapestOffering"/> says which a user would take.</param>
    /// <param name="options">What it is set to; the defaults if <see langword="null"/>.</param>
    public SageMakerTargetTrackingPlanner(string offering, SageMakerTargetTrackingOptions? options = null)
    {
        _offering = new SingleOffering(offering);
        _options = options ?? new SageMakerTargetTrackingOptions();
        _metric = new InvocationsPerInstance(Math.Max(_options.ScaleOutDataPoints, _options.ScaleInDataPoints));
    }

    /// <summary>How often it is to be asked: 1 min, the period of its metric.</summary>
    public static TimeSpan PlanInterval { get; } = TimeSpan.FromMinutes(1);

    /// <summary>How long the slots are to be that it observes: 1 min; any length that divides it does too.</summary>
    public static TimeSpan SampleInterval { get; } = TimeSpan.FromMinutes(1);

    /// <inheritdoc/>
    public bool MayBeExceeded => false;

    /// <summary>Sets the fleet that it keeps: <see cref="PlanInterval"/>, <see cref="SampleInterval"/>, a horizon of 1, and neither a cool-down nor a monitor beside its own rules.</summary>
    /// <param name="options">The options to set; the rest of them stays.</param>
    public static void Configure(FleetOptions options) => ReactiveFleet.Configure(options, PlanInterval, SampleInterval);

    /// <summary>
    /// The offering that a user of SageMaker would take: of the lowest price per request, one at a time, among those on demand that answer a lone request within the objective. The paper has
    /// only types without a GPU compared.
    /// </summary>
    /// <param name="offerings">Those to choose from.</param>
    /// <param name="slo">The latency objective.</param>
    /// <returns>The offering; of equal ones the first.</returns>
    /// <exception cref="NoUsableOfferingException">None of them answers within the objective; names each.</exception>
    public static SimulatedInstance CheapestOffering(IReadOnlyList<SimulatedInstance> offerings, TimeSpan slo)
    {
        ArgumentNullException.ThrowIfNull(offerings);
        return offerings
            .Where(o => o.Offering.Market == InstanceMarket.OnDemand && o.Profile.High(1) <= slo)
            .MinBy(o => o.Offering.PricePerHour * o.Profile.Mean(1).Ticks)
            ?? throw new NoUsableOfferingException([.. offerings.Select(o => o.Offering.Name)]);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidProvisioningInputException">The slot does not lie within one minute: its length does not divide one.</exception>
    public void Observe(in FleetObservation observation) => _metric.Add(observation);

    /// <inheritdoc/>
    /// <exception cref="InvalidProvisioningInputException">Its offering is not among the context's; names those there are.</exception>
    /// <exception cref="NoUsableOfferingException">Its offering cannot keep the objective.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var index = _offering.IndexIn(context);
        var state = context.Offerings[index];
        if (_desired is null)
        {
            _targetPerMinute = state.Capacity > 0 ? (_options.MaxRatePerInstance ?? state.Capacity) * _options.SafetyFactor * 60 : throw new NoUsableOfferingException([state.Offering.Name]);
        }
        var current = AtLeastOne(context, _desired ?? state.Active);
        // Asked between two points it has nothing to add to what it said.
        var wish = _decidedPoints < _metric.Count ? Decide(context, state.Ready, current) : current;
        _decidedPoints = _metric.Count;
        _desired = AtLeastOne(context, wish);
        SingleOffering.Plan(context, plan, index, _desired.Value, wish, Summary(current));
    }

    /// <summary>An endpoint has one instance at least.</summary>
    private static int AtLeastOne(in ProvisioningContext context, double instances) => SingleOffering.Bounded(context, Math.Max(1, instances));

    private double Decide(in ProvisioningContext context, int serving, int current)
    {
        if (_metric.LastAre(_options.ScaleOutDataPoints, perInstance => perInstance > _targetPerMinute))
        {
            var wish = Needed();
            var bounded = AtLeastOne(context, wish);
            if (bounded <= current)
            {
                return Math.Max(wish, current);
            }
            if (context.Now >= _outUntil || bounded - serving > _outStep)
            {
                _outStep = bounded - serving;
                _outUntil = context.Now + _options.ScaleOutCooldown;
                _inUntil = DateTimeOffset.MinValue;
                return wish;
            }
        }
        else if (context.Now >= _inUntil && _metric.LastAre(_options.ScaleInDataPoints, perInstance => perInstance < _options.ScaleInThreshold * _targetPerMinute))
        {
            var wish = Math.Max(current - Math.Max(1, Math.Floor(_options.ScaleInStep * current)), Needed());
            if (AtLeastOne(context, wish) < current)
            {
                _inUntil = context.Now + _options.ScaleInCooldown;
                return wish;
            }
        }
        return current;
    }

    /// <summary>n x metric / target: the instances among which the last minute's invocations would be at the target.</summary>
    private double Needed() => _metric.Last is { } point ? Math.Ceiling(point.Invocations / _targetPerMinute) : 0;

    private string Summary(int before)
    {
        var change = _desired > before ? $"scales out from {before} to" : _desired < before ? $"scales in from {before} to" : "stays at";
        return _metric.Last is { } point
            ? string.Create(CultureInfo.InvariantCulture, $"{point.PerInstance:0.#} invocations a minute and instance, target {_targetPerMinute:0.#}: {change} {_desired}")
            : string.Create(CultureInfo.InvariantCulture, $"no data, target {_targetPerMinute:0.#} invocations a minute and instance: {change} {_desired}");
    }
}
