using System.Globalization;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// The Knative Pod Autoscaler on concurrency, by its defaults: every 2 s, the mean concurrency of the last 60 s over the target of one instance, rounded up; and of the last 6 s where that asks
/// for twice what is ready or more, the panic.
/// </summary>
/// <remarks>
/// <para>
/// By the Knative documentation ("Configuring concurrency", "Additional autoscaling configuration for Knative Pod Autoscaler") and its code (<c>pkg/autoscaler/scaling/autoscaler.go</c>). Either
/// number is at least half of those that are ready, rounded down, and at most 1000 times as many. In a panic the larger counts and is never lowered; it is over once what the 6 s ask
/// for has been below the threshold for more than 60 s. One that finds more than one instance begins in a panic, so that they are kept until its window is filled.
/// </para>
/// <para>
/// Left out: that nothing is scaled to zero before a grace period is over (<see cref="ProvisioningContext.MinInstances"/> decides whether it is at all), and its activator, since
/// requests wait for an instance here as well.
/// </para>
/// <para>The simulation is to have no spillover, the batch policy that it is compared with, and the fleet options of <see cref="Configure"/>.</para>
/// </remarks>
public sealed class KnativePodAutoscalerPlanner : IProvisioningPlanner, IFleetObserver
{
    private const double PanicThreshold = 2;
    private const double MaxScaleDownRate = 2;
    private const double MaxScaleUpRate = 1000;

    private static readonly TimeSpan StableWindow = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan PanicWindow = TimeSpan.FromSeconds(6);

    private readonly SingleOffering _offering;
    private readonly double _target;
    private readonly ObservationWindow _stable = new(StableWindow);
    private readonly ObservationWindow _panic = new(PanicWindow);
    private int? _desired;
    private DateTimeOffset _decideAt = DateTimeOffset.MinValue;
    private DateTimeOffset? _panicSince;    // when it was last above the threshold; nothing while it is calm
    private double _mostInPanic;
    private string _summary = "";

    /// <summary>An autoscaler.</summary>
    /// <param name="offering">The name of the offering its instances are of.</param>
    /// <param name="targetConcurrency">How many requests one instance is to have, waiting or running; more than 0. <see cref="TargetConcurrency"/> says how many.</param>
    /// <exception cref="ArgumentOutOfRangeException">The target is outside its range.</exception>
    public KnativePodAutoscalerPlanner(string offering, double targetConcurrency)
    {
        TargetConcurrency.ThrowIfNone(targetConcurrency);
        _offering = new SingleOffering(offering);
        _target = targetConcurrency;
    }

    /// <summary>How often it is to be asked: 2 s, its tick.</summary>
    public static TimeSpan PlanInterval { get; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the slots are to be that it observes: 2 s; any length that divides it does too.</summary>
    public static TimeSpan SampleInterval { get; } = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public bool MayBeExceeded => false;

    /// <summary>Sets the fleet that it keeps: <see cref="PlanInterval"/>, <see cref="SampleInterval"/>, a horizon of 1, and neither a cool-down nor a monitor beside its own rules.</summary>
    /// <param name="options">The options to set; the rest of them stays.</param>
    public static void Configure(FleetOptions options) => ReactiveFleet.Configure(options, PlanInterval, SampleInterval);

    /// <inheritdoc/>
    public void Observe(in FleetObservation observation)
    {
        _stable.Add(observation);
        _panic.Add(observation);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidProvisioningInputException">Its offering is not among the context's; names those there are.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var index = _offering.IndexIn(context);
        var state = context.Offerings[index];
        if (_desired is null && state.Ready > 1)
        {
            _panicSince = context.Now;
            _mostInPanic = state.Ready;
        }
        double wish = SingleOffering.Bounded(context, _desired ?? state.Active);
        if (_stable.IsEmpty)
        {
            _summary = "nothing was observed yet: nothing is done";
        }
        else if (context.Now >= _decideAt)
        {
            _decideAt = context.Now + PlanInterval;
            wish = Decide(context.Now, state.Ready);
        }
        _desired = SingleOffering.Bounded(context, wish);
        SingleOffering.Plan(context, plan, index, _desired.Value, wish, _summary);
    }

    private double Decide(DateTimeOffset now, int serving)
    {
        var ready = Math.Max(1, serving);
        var (stable, panic) = (_stable.MeanConcurrency, _panic.MeanConcurrency);
        var (byStable, byPanic) = (Math.Ceiling(stable / _target), Math.Ceiling(panic / _target));
        if (byPanic / ready >= PanicThreshold)
        {
            _panicSince = now;
        }
        else if (_panicSince + StableWindow < now)
        {
            _panicSince = null;
            _mostInPanic = 0;
        }
        _summary = string.Create(CultureInfo.InvariantCulture,
            $"concurrency {stable:0.#} in 60 s, {panic:0.#} in 6 s, target {_target:0.##} each of {serving} that serve{(_panicSince is null ? "" : ", in a panic")}");
        if (_panicSince is null)
        {
            return Clamped(byStable);
        }
        _mostInPanic = Math.Max(_mostInPanic, Math.Max(Clamped(byStable), Clamped(byPanic)));
        return _mostInPanic;

        double Clamped(double instances) => Math.Min(Math.Max(instances, Math.Floor(ready / MaxScaleDownRate)), Math.Ceiling(MaxScaleUpRate * ready));
    }
}
