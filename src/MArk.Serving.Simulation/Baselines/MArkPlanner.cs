using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// MArk as it was published (Zhang, Yu, Wang and Yan, USENIX ATC 2019): <see cref="GreedyPlanner"/>, with the two constants that the paper's own has for every type, whatever a launch really
/// takes and costs: it looks 5 min ahead (section 4.3), and takes a launch to cost as much as 180 s of the instance.
/// </summary>
/// <remarks>
/// <para>
/// <see cref="GreedyPlanner"/> has one delay for both. Here each offering is shown to it with the delay of the cost, and the forecast as much earlier as the lead is longer: its first step
/// then is the highest peak of those left out, since what is needed until the lead is over is not let go.
/// </para>
/// <para>
/// The forecast it plans on is one of the highest 5-second rate of each minute: <see cref="PointPredictor"/> of an LSTM, or a
/// <see cref="Prediction.MovingMaximumPredictor"/> of the 5 min of its lead. The rest of MArk is in the scheduler (its bouncer, where there is spillover) and in the controller (its
/// SLO monitor, the cool-down before an instance is destroyed); <see cref="Configure"/> sets those.
/// </para>
/// </remarks>
public sealed class MArkPlanner : IProvisioningPlanner
{
    private readonly GreedyPlanner _greedy = new();
    private OfferingState[] _offerings = [];
    private WorkloadForecast? _forecast;
    private FleetPlan? _plan;

    /// <summary>How far ahead it launches: 5 min.</summary>
    public static TimeSpan Lead { get; } = TimeSpan.FromMinutes(5);

    /// <summary>What a launch is taken to cost, as time of the instance: 180 s.</summary>
    public static TimeSpan LaunchCost { get; } = TimeSpan.FromSeconds(180);

    /// <summary>How often it is to be asked: 1 min.</summary>
    public static TimeSpan PlanInterval { get; } = TimeSpan.FromMinutes(1);

    /// <summary>How long the slots are to be whose highest rate is forecast: 5 s.</summary>
    public static TimeSpan SampleInterval { get; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Sets the fleet that it keeps: <see cref="PlanInterval"/>, <see cref="SampleInterval"/>, the paper's 60 steps, and, for which the paper has no figures, a cool-down of 5 min, as its
    /// planner prices no return of what it has let go, and the default monitor of <see cref="FleetOptions"/>.
    /// </summary>
    /// <param name="options">The options to set; the rest of them stays.</param>
    public static void Configure(FleetOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.PlanInterval = PlanInterval;
        options.SampleInterval = SampleInterval;
        options.Horizon = 60;
        options.ScaleInCooldown = TimeSpan.FromMinutes(5);
        options.SloWindow = new FleetOptions().SloWindow;
    }

    /// <inheritdoc/>
    /// <exception cref="NoUsableOfferingException">No offering can keep the objective; names each.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var step = context.Forecast.Step;
        var early = Math.Min(Steps(Lead, step) - Steps(LaunchCost, step), context.Forecast.Horizon - 1);
        var inner = InnerPlan(context.Forecast.Horizon - early, context.Offerings.Length);
        inner.Clear();
        _greedy.Plan(context with { Forecast = Earlier(context.Forecast, early), Offerings = WithLaunchCost(context.Offerings) }, inner);
        for (var t = 0; t < plan.Horizon; t++)
        {
            inner.Step(Math.Clamp(t - early, 0, inner.Horizon - 1)).CopyTo(plan.Step(t));
        }
        plan.Explanation = inner.Explanation;
    }

    private static int Steps(TimeSpan time, TimeSpan step) => (int)Math.Ceiling(time / step);

    private FleetPlan InnerPlan(int horizon, int offerings)
    {
        if (_plan is null || _plan.Horizon != horizon || _plan.Offerings != offerings)
        {
            _plan = new FleetPlan(horizon, offerings);
        }
        return _plan;
    }

    /// <summary>A forecast that begins some steps later, and has in its first the highest peak of those before as well.</summary>
    private WorkloadForecast Earlier(WorkloadForecast forecast, int steps)
    {
        var left = forecast.Horizon - steps;
        if (_forecast is null || _forecast.Horizon != left || _forecast.Step != forecast.Step || !_forecast.Levels.SequenceEqual(forecast.Levels))
        {
            _forecast = new WorkloadForecast(left, forecast.Step, forecast.Levels);
        }
        _forecast.Start = forecast.Start + steps * forecast.Step;
        forecast.Mean[steps..].CopyTo(_forecast.Mean);
        forecast.Peak[steps..].CopyTo(_forecast.Peak);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Quantile(level)[steps..].CopyTo(_forecast.Quantile(level));
        }
        for (var t = 0; t < steps; t++)
        {
            _forecast.Peak[0] = Math.Max(_forecast.Peak[0], forecast.Peak[t]);
        }
        return _forecast;
    }

    private ReadOnlySpan<OfferingState> WithLaunchCost(ReadOnlySpan<OfferingState> offerings)
    {
        if (_offerings.Length != offerings.Length)
        {
            _offerings = new OfferingState[offerings.Length];
        }
        for (var i = 0; i < offerings.Length; i++)
        {
            _offerings[i] = offerings[i] with { LaunchDelay = LaunchCost };
        }
        return _offerings;
    }
}
