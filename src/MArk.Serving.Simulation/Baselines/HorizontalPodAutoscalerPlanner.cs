using System.Globalization;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// The Horizontal Pod Autoscaler of Kubernetes on the utilisation of its instances, with the default behaviour of <c>autoscaling/v2</c>: every 15 s, n x current / target instances,
/// rounded up; nothing where that ratio is within 0.1 of 1.
/// </summary>
/// <remarks>
/// <para>
/// By the Kubernetes documentation ("Horizontal Pod Autoscaling") and its controller (<c>pkg/controller/podautoscaler</c>). Up: at most the larger of +100 % and +4 in 15 s. Down: to the highest
/// recommendation of the last 300 s, the number at the start among them, at once. Instances on their way are no part of n, except that where the others are above the target they count
/// as unused, so that what was asked for is not asked for again. Where no instance served, there is no metric, and nothing is done.
/// </para>
/// <para>
/// Utilisation is the rate of completions over what those that served can at most complete, at most 1, over the last 15 s; what one can is a setting, as the resources that a pod
/// requests are. So the ratio is at most 1 / target, and a fleet far below its load grows by no more than that every time its instances have become ready.
/// </para>
/// <para>The simulation is to have no spillover, the batch policy that it is compared with, and the fleet options of <see cref="Configure"/>.</para>
/// </remarks>
public sealed class HorizontalPodAutoscalerPlanner : IProvisioningPlanner, IFleetObserver
{
    private const double Tolerance = 0.1;
    private const int MostPodsUp = 4;
    private const int MostTimesUp = 2;

    private static readonly TimeSpan DownscaleStabilization = TimeSpan.FromSeconds(300);

    private readonly SingleOffering _offering;
    private readonly double _maxRate;
    private readonly double _target;
    private readonly ObservationWindow _recent = new(PlanInterval);
    private readonly Queue<(DateTimeOffset At, int Instances)> _recommended = new();
    private int? _desired;
    private DateTimeOffset _decideAt = DateTimeOffset.MinValue;
    private string _summary = "";

    /// <summary>An autoscaler.</summary>
    /// <param name="offering">The name of the offering its instances are of.</param>
    /// <param name="maxRatePerInstance">What one instance completes when it is always busy: requests per second at the best batch size within the objective; more than 0.</param>
    /// <param name="targetUtilization">The share of that which instances are to use: more than 0, at most 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate or the target is outside its range.</exception>
    public HorizontalPodAutoscalerPlanner(string offering, double maxRatePerInstance, double targetUtilization = 0.7)
    {
        if (!(maxRatePerInstance > 0 && double.IsFinite(maxRatePerInstance)))
        {
            throw new ArgumentOutOfRangeException(nameof(maxRatePerInstance), maxRatePerInstance, "What an instance completes a second must be a number of more than 0.");
        }
        if (!(targetUtilization is > 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(targetUtilization), targetUtilization, "The target utilisation must be more than 0 and at most 1.");
        }
        _offering = new SingleOffering(offering);
        _maxRate = maxRatePerInstance;
        _target = targetUtilization;
    }

    /// <summary>How often it is to be asked: 15 s, the controller's sync period.</summary>
    public static TimeSpan PlanInterval { get; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the slots are to be that it observes: 15 s; any length that divides it does too.</summary>
    public static TimeSpan SampleInterval { get; } = TimeSpan.FromSeconds(15);

    /// <inheritdoc/>
    public bool MayBeExceeded => false;

    /// <summary>Sets the fleet that it keeps: <see cref="PlanInterval"/>, <see cref="SampleInterval"/>, a horizon of 1, and neither a cool-down nor a monitor beside its own rules.</summary>
    /// <param name="options">The options to set; the rest of them stays.</param>
    public static void Configure(FleetOptions options) => ReactiveFleet.Configure(options, PlanInterval, SampleInterval);

    /// <inheritdoc/>
    public void Observe(in FleetObservation observation) => _recent.Add(observation);

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
            if (!(state.Capacity > 0))
            {
                throw new NoUsableOfferingException([state.Offering.Name]);
            }
            // The number at the start is a recommendation too, so that a fleet is not let go before anything is known of its load.
            _recommended.Enqueue((context.Now, state.Active));
        }
        var current = SingleOffering.Bounded(context, _desired ?? state.Active);
        double wish = current;
        if (context.Now >= _decideAt)
        {
            _decideAt = context.Now + PlanInterval;
            wish = Decide(context, state, current);
        }
        _desired = SingleOffering.Bounded(context, wish);
        SingleOffering.Plan(context, plan, index, _desired.Value, wish, _summary);
    }

    private int Decide(in ProvisioningContext context, in OfferingState state, int current)
    {
        var recommended = Recommend(state, current);
        _recommended.Enqueue((context.Now, recommended));
        while (_recommended.Peek().At + DownscaleStabilization < context.Now)
        {
            _recommended.Dequeue();
        }
        if (recommended < current)
        {
            return Math.Min(current, _recommended.Max(r => r.Instances));
        }
        return Math.Min(recommended, Math.Max(MostTimesUp * current, current + MostPodsUp));
    }

    /// <summary>The number by the metric alone.</summary>
    private int Recommend(in OfferingState state, int current)
    {
        if (_recent.IsEmpty || _recent.MeanReady <= 0 || state.Ready == 0)
        {
            _summary = "no instance served: nothing is done";
            return current;
        }
        var utilization = Math.Min(1, _recent.CompletionRate / (_recent.MeanReady * _maxRate));
        _summary = string.Create(CultureInfo.InvariantCulture, $"utilisation {utilization:0.###} of {state.Ready} that serve, target {_target:0.###}");
        var ratio = utilization / _target;
        if (ratio <= 1)
        {
            return 1 - ratio <= Tolerance ? current : (int)Math.Ceiling(state.Ready * ratio);
        }
        // n x ratio is the same with and without those on their way; whether it is enough is not.
        var among = ratio * state.Ready / state.Active;
        return among - 1 <= Tolerance ? current : Math.Max(current, (int)Math.Ceiling(state.Ready * ratio));
    }
}
