using System.Diagnostics;
using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>
/// A rolling-origin backtest: after each interval the predictor forecasts the next ones, and every sample of theirs is scored. Nothing is fitted to
/// what comes later. Origins begin after the first tenth of the series. A training that is due is run at once, and counts for no tick: a host runs it beside the ticks.
/// </summary>
internal static class Backtest
{
    private static readonly double[] Covered = [0.5, 0.9, 0.99];

    public static BacktestResult Run(ForecastSeries series, IWorkloadPredictor predictor, int horizon, int seed, ForecastPlot? plot = null)
    {
        var random = new Random(seed);
        var forecast = new WorkloadForecast(horizon, series.Step);
        var losses = new double[forecast.Levels.Length];
        var covered = new double[Covered.Length];
        var (samples, requests, absoluteError, means, ticks) = (0L, 0.0, 0.0, 0L, 0L);
        var first = series.Intervals / 10;
        long spent = 0;
        var (trainings, trained) = (0, 0L);
        for (var interval = 0; interval < series.Intervals; interval++)
        {
            var began = Stopwatch.GetTimestamp();
            for (var i = interval * series.PerInterval; i < (interval + 1) * series.PerInterval; i++)
            {
                if (!double.IsNaN(series.Counts[i]))
                {
                    predictor.Observe(series.Sample(i));
                }
            }
            var training = Stopwatch.GetTimestamp();
            while ((predictor as ITrainable)?.TakeTrainingJob() is { } job)
            {
                job.Run(CancellationToken.None);
                job.Apply();
                trainings++;
            }
            training = Stopwatch.GetTimestamp() - training;
            trained += training;
            forecast.Start = series.StartOf(interval + 1);
            predictor.Forecast(forecast);
            if (interval < first)
            {
                continue;
            }
            spent += Stopwatch.GetTimestamp() - began - training;
            ticks++;
            plot?.Add(interval, forecast);
            for (var h = 0; h < Math.Min(horizon, series.Intervals - interval - 1); h++)
            {
                foreach (var count in series.SamplesOf(interval + 1 + h))
                {
                    if (double.IsNaN(count))
                    {
                        continue;
                    }
                    var rate = count / series.SampleLength.TotalSeconds;
                    samples++;
                    requests += rate;
                    for (var level = 0; level < losses.Length; level++)
                    {
                        var over = rate - forecast.Quantile(level)[h];
                        losses[level] += over > 0 ? forecast.Levels[level] * over : (forecast.Levels[level] - 1) * over;
                    }
                    var place = PlaceOf(rate, forecast, h, random);
                    for (var level = 0; level < Covered.Length; level++)
                    {
                        covered[level] += place <= Covered[level] ? 1 : 0;
                    }
                }
                var mean = series.RateOf(interval + 1 + h);
                if (!double.IsNaN(mean))
                {
                    absoluteError += Math.Abs(mean - forecast.Quantile(0)[h]);
                    means++;
                }
            }
        }
        if (samples == 0 || means == 0)
        {
            throw new TraceFormatException(series.Name, 0, $"it has {series.Intervals} whole intervals of {series.Step.TotalSeconds} s, of which none can be scored; expected are at least two in a row without a gap.");
        }
        return new BacktestResult(
            Mase: absoluteError / means / NaiveError(series),
            Wql: losses.Average(l => 2 * l) / requests,
            Coverage: Array.ConvertAll(covered, c => c / samples),
            TickMs: Stopwatch.GetElapsedTime(0, spent).TotalMilliseconds / ticks,
            Trainings: trainings,
            TrainingSeconds: trainings == 0 ? 0 : Stopwatch.GetElapsedTime(0, trained).TotalSeconds / trainings);
    }

    /// <summary>
    /// Where a sample lies in the forecast distribution, as a level: between the level below it and the one at or above it, and drawn at random from the
    /// span of those that are tied with it, so that a certain zero is covered by each of its levels as often as the level says.
    /// </summary>
    private static double PlaceOf(double rate, WorkloadForecast forecast, int h, Random random)
    {
        var (below, tied) = (0.0, double.NaN);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            var quantile = forecast.Quantile(level)[h];
            if (quantile < rate)
            {
                below = forecast.Levels[level];
            }
            else if (quantile == rate)
            {
                tied = forecast.Levels[level];
            }
            else
            {
                return double.IsNaN(tied) ? forecast.Levels[level] : Within(below, tied, random);
            }
        }
        return double.IsNaN(tied) ? 1 : Within(below, tied, random);
    }

    private static double Within(double from, double to, Random random) => to - (to - from) * random.NextDouble();

    /// <summary>The mean absolute difference from a day before, or from the interval before in series of less than two days (MASE: Hyndman and Koehler 2006).</summary>
    private static double NaiveError(ForecastSeries series)
    {
        var day = (int)Math.Round(TimeSpan.FromDays(1) / series.Step);
        var lag = series.Intervals >= 2 * day ? day : 1;
        var (sum, count) = (0.0, 0);
        for (var i = lag; i < series.Intervals; i++)
        {
            var difference = series.RateOf(i) - series.RateOf(i - lag);
            if (!double.IsNaN(difference))
            {
                sum += Math.Abs(difference);
                count++;
            }
        }
        return sum / count;
    }
}

/// <summary>What a backtest found: coverage is that of the levels 0.5, 0.9 and 0.99; the seconds are the mean of the trainings.</summary>
internal sealed record BacktestResult(double Mase, double Wql, double[] Coverage, double TickMs, int Trainings, double TrainingSeconds);
