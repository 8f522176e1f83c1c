using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class PointPredictorTests
{
    private sealed class Recording : IRateForecaster, ITrainable
    {
        public List<(DateTimeOffset Start, double Rate)> Seen { get; } = [];

        public int Asked { get; private set; }

        public void Observe(DateTimeOffset start, double rate) => Seen.Add((start, rate));

        public void Forecast(DateTimeOffset start, Span<double> rates)
        {
            for (var i = 0; i < rates.Length; i++)
            {
                rates[i] = 10 + i;
            }
        }

        public ITrainingJob? TakeTrainingJob()
        {
            Asked++;
            return null;
        }
    }

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private static ArrivalSample Sample(double seconds, long count, double length = 5) => new(DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(seconds), TimeSpan.FromSeconds(length), count);

    [Fact]
    public void TheForecasterIsShownTheHighestSlotOfEachInterval()
    {
        var forecaster = new Recording();
        var predictor = new PointPredictor(forecaster, Minute);
        for (var slot = 0; slot < 24; slot++)
        {
            predictor.Observe(Sample(slot * 5, slot == 3 ? 50 : slot == 20 ? 25 : 5));
        }
        Assert.Equal([(DateTimeOffset.UnixEpoch, 10.0), (DateTimeOffset.UnixEpoch + Minute, 5.0)], forecaster.Seen);
    }

    [Fact]
    public void WhatItAnswersIsThePeakAndEveryQuantile()
    {
        var forecast = new WorkloadForecast(3, Minute);
        new PointPredictor(new Recording(), Minute).Forecast(forecast);
        double[] expected = [10, 11, 12];
        Assert.Equal(expected, forecast.Peak.ToArray());
        Assert.Equal(expected, forecast.Mean.ToArray());
        Assert.All(Enumerable.Range(0, forecast.Levels.Length), level => Assert.Equal(expected, forecast.Quantile(level).ToArray()));
    }

    [Fact]
    public void TheForecastersTrainingIsPassedOn()
    {
        var forecaster = new Recording();
        Assert.Null(new PointPredictor(forecaster, Minute).TakeTrainingJob());
        Assert.Equal(1, forecaster.Asked);
    }

    [Fact]
    public void WhatItWasNotMadeForIsRefused()
    {
        var predictor = new PointPredictor(new Recording(), Minute);
        Assert.Contains("at most 60 s", Assert.Throws<InvalidArrivalSampleException>(() => predictor.Observe(Sample(0, 1, length: 120))).Message);
        Assert.Contains("00:01:00", Assert.Throws<ArgumentOutOfRangeException>(() => predictor.Forecast(new WorkloadForecast(3, Minute * 2))).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new PointPredictor(new Recording(), TimeSpan.Zero));
    }
}
