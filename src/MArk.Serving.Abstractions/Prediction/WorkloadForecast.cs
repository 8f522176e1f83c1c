using System.Collections.Immutable;

namespace MArk.Serving;

/// <summary>
/// A forecast buffer, made once and filled again and again: for each of the next intervals the distribution of the
/// arrival rate <em>at a random sample slot of the interval</em>, requests per second, so that the expected overflow over a
/// capacity C is the interval's length times E[(X - C)+]. The interval's highest slot is a separate series.
/// </summary>
public sealed class WorkloadForecast
{
    /// <summary>The most intervals a buffer can have: a day of minutes.</summary>
    public const int MaxHorizon = 1440;

    private readonly double[] _quantiles;
    private readonly double[] _mean;
    private readonly double[] _peak;

    /// <summary>Makes a buffer.</summary>
    /// <param name="horizon">How many intervals; 1 to <see cref="MaxHorizon"/>.</param>
    /// <param name="step">How long an interval is; more than zero.</param>
    /// <param name="levels">The quantile levels, ascending, each between 0 and 1 exclusive; <see cref="DefaultLevels"/> if empty.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public WorkloadForecast(int horizon, TimeSpan step, ImmutableArray<double> levels = default)
    {
        if (horizon is < 1 or > MaxHorizon)
        {
            throw new ArgumentOutOfRangeException(nameof(horizon), horizon, $"The horizon must be 1 to {MaxHorizon} intervals.");
        }
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(step, TimeSpan.Zero);
        Levels = levels.IsDefaultOrEmpty ? DefaultLevels : levels;
        for (var i = 0; i < Levels.Length; i++)
        {
            if (!(Levels[i] > (i == 0 ? 0 : Levels[i - 1]) && Levels[i] < 1))
            {
                throw new ArgumentOutOfRangeException(nameof(levels), Levels[i], "Quantile levels must ascend, each between 0 and 1 exclusive.");
            }
        }
        Horizon = horizon;
        Step = step;
        _quantiles = new double[horizon * Levels.Length];
        _mean = new double[horizon];
        _peak = new double[horizon];
    }

    /// <summary>0.5, 0.8, 0.9, 0.95 and 0.99.</summary>
    public static ImmutableArray<double> DefaultLevels { get; } = [0.5, 0.8, 0.9, 0.95, 0.99];

    /// <summary>When the first interval begins, UTC. Set by the caller before each forecast.</summary>
    public DateTimeOffset Start { get; set; }

    /// <summary>How long each interval is.</summary>
    public TimeSpan Step { get; }

    /// <summary>How many intervals.</summary>
    public int Horizon { get; }

    /// <summary>The quantile levels, ascending.</summary>
    public ImmutableArray<double> Levels { get; }

    /// <summary>The mean rate of each interval, requests per second.</summary>
    public Span<double> Mean => _mean;

    /// <summary>The highest rate of a sample slot within each interval, requests per second; only the paper's greedy planner plans on it.</summary>
    public Span<double> Peak => _peak;

    /// <summary>The rate that a random slot stays at or below with the level's probability, for each interval, requests per second.</summary>
    /// <param name="level">An index into <see cref="Levels"/>.</param>
    /// <returns>One value an interval, writable.</returns>
    public Span<double> Quantile(int level) => _quantiles.AsSpan(level * Horizon, Horizon);
}
