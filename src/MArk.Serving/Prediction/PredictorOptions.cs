using MArk.Serving.Provisioning;

namespace MArk.Serving.Prediction;

/// <summary>What the built-in predictors are made by.</summary>
public sealed record PredictorOptions
{
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// How long an interval is whose mean rate is forecast; at least 1 ms, default a minute. Samples that are longer are forecast at their own length.
    /// </summary>
    public TimeSpan Interval
    {
        get;
        init => field = value >= ShortestInterval ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "An interval must be at least 1 ms.");
    } = TimeSpan.FromMinutes(1);

    /// <summary>How many intervals ahead can be forecast; 1 to <see cref="WorkloadForecast.MaxHorizon"/>, default 60.</summary>
    public int Horizon
    {
        get;
        init => field = value is >= 1 and <= WorkloadForecast.MaxHorizon
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"The horizon must be 1 to {WorkloadForecast.MaxHorizon} intervals.");
    } = 60;

    /// <summary>
    /// How long the samples are whose rate is forecast, where a longer sample was put together from them (it has a <see cref="ArrivalSample.PeakRate"/>
    /// above its mean): its dispersion is then worked out from mean, peak and their number. More than zero, default 5 s.
    /// </summary>
    public TimeSpan SampleLength
    {
        get;
        init => field = value > TimeSpan.Zero ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "A sample must be longer than zero.");
    } = TimeSpan.FromSeconds(5);

    /// <summary>Where days and weeks begin; UTC unless set.</summary>
    public TimeZoneInfo TimeZone { get; init; } = TimeZoneInfo.Utc;

    /// <summary>
    /// With what probability an interval's highest sample is to stay at or below <see cref="WorkloadForecast.Peak"/>; between 0 and 1 exclusive, default 0.9.
    /// </summary>
    public double PeakLevel
    {
        get;
        init => field = value is > 0 and < 1 ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "The level of the peak must be between 0 and 1 exclusive.");
    } = 0.9;

    /// <summary>The options of a predictor that forecasts what a fleet asks it for: the fleet's <see cref="FleetOptions.PlanInterval"/>, horizon, sample interval and time zone.</summary>
    /// <param name="fleet">The fleet's settings.</param>
    /// <returns>The options.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A setting is outside its range.</exception>
    /// <exception cref="TimeZoneNotFoundException">This machine does not know the time zone.</exception>
    public static PredictorOptions Of(FleetOptions fleet)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        return new PredictorOptions
        {
            Interval = fleet.PlanInterval, Horizon = fleet.Horizon, SampleLength = fleet.SampleInterval, TimeZone = TimeZoneInfo.FindSystemTimeZoneById(fleet.TimeZone),
        };
    }
}
