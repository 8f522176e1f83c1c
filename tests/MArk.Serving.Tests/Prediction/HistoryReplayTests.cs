using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

/// <summary>A history is learned in little time: by how many forecasts are made for it, and by what is forecast after it.</summary>
public sealed class HistoryReplayTests
{
    private static readonly DateTimeOffset Monday = new(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    /// <summary>Slots of a day's season with noise.</summary>
    private static List<ArrivalSample> Slots(DateTimeOffset from, int count, TimeSpan length, int seed = 1)
    {
        var random = new Random(seed);
        var slots = new List<ArrivalSample>();
        for (var at = from; slots.Count < count; at += length)
        {
            var rate = 40 * (1 + 0.6 * Math.Sin(2 * Math.PI * at.TimeOfDay.TotalDays)) * (0.8 + 0.4 * random.NextDouble());
            slots.Add(new ArrivalSample(at, length, (long)(rate * length.TotalSeconds)) { PeakRate = length >= Minute ? 1.4 * rate : 0 });
        }
        return slots;
    }

    private static WorkloadForecast Forecast(IWorkloadPredictor predictor, DateTimeOffset start)
    {
        var forecast = new WorkloadForecast(60, Minute) { Start = start };
        predictor.Forecast(forecast);
        return forecast;
    }

    private static void Observe(IWorkloadPredictor predictor, IEnumerable<ArrivalSample> samples)
    {
        foreach (var sample in samples)
        {
            predictor.Observe(sample);
        }
    }

    [Theory]
    [InlineData(600, 600)]
    [InlineData(HistoryPace.Whole, HistoryPace.Whole)]
    [InlineData(HistoryPace.Whole + 1, (HistoryPace.Whole + HistoryPace.Stride) / HistoryPace.Stride)]
    [InlineData(14 * 1440, HistoryPace.Forecasts)]
    public void OfALongHistoryFewForecastsAreMade(int minutes, int expected)
    {
        var (forecaster, member) = (new Counting(), new CountingPredictor());
        var predictor = new AutoPredictor([new ConformalPredictor(_ => forecaster), member]);
        var past = Slots(Monday, minutes + 10, Minute);
        predictor.ObserveHistory(past[..^10]);
        Assert.Equal((minutes, expected), (forecaster.Observed, forecaster.Forecasts));
        Assert.Equal((minutes, expected), (member.Observed, member.Forecasts));
        // What comes later is judged as ever.
        Observe(predictor, past[^10..]);
        Assert.Equal((minutes + 10, expected + 10), (forecaster.Observed, forecaster.Forecasts));
        Assert.Equal((minutes + 10, expected + 10), (member.Observed, member.Forecasts));
    }

    [Fact]
    public void HoursThatMinutesFollowAreNotForecastFromAndNotMadeUpAgain()
    {
        var forecasters = new List<Counting>();
        var predictor = new ConformalPredictor(_ =>
        {
            forecasters.Add(new Counting());
            return forecasters[^1];
        });
        var hours = Slots(Monday, 500, Hour);
        predictor.ObserveHistory([.. hours, .. Slots(Monday + 500 * Hour, 20_100, Minute)]);
        Assert.Equal([0, 0, HistoryPace.Forecasts], forecasters.Select(f => f.Forecasts));
        // There is room for one more hour of 60 minutes.
        Assert.Equal(20_160, forecasters[^1].Observed);
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("ridge")]
    public void AShortHistoryIsLearnedAsIfItCameOneByOne(string name)
    {
        var past = Slots(Monday, 500, Minute);
        var (told, seen) = (Predictors.Create(name), Predictors.Create(name));
        told.ObserveHistory(past);
        Observe(seen, past);
        var (forecast, expected) = (Forecast(told, past[^1].Start + Minute), Forecast(seen, past[^1].Start + Minute));
        Assert.Equal(expected.Mean, forecast.Mean);
        Assert.Equal(expected.Peak, forecast.Peak);
        Assert.Equal(expected.Quantile(2), forecast.Quantile(2));
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("holt-winters")]
    [InlineData("seasonal-naive")]
    public void AfterALongHistoryTheForecastIsCloseToThatAfterAsManySamples(string name)
    {
        var past = Slots(Monday, 2 * 1440 + 300, Minute);
        var (told, seen) = (Predictors.Create(name), Predictors.Create(name));
        told.ObserveHistory(past);
        Observe(seen, past);
        var end = past[^1].Start + Minute;
        IsClose();
        var next = Slots(end, 60 * 12, TimeSpan.FromSeconds(5), seed: 2);
        Observe(told, next);
        Observe(seen, next);
        end += Hour;
        IsClose();

        void IsClose()
        {
            var (forecast, expected) = (Forecast(told, end), Forecast(seen, end));
            for (var step = 0; step < 60; step++)
            {
                for (var level = 0; level < forecast.Levels.Length; level++)
                {
                    Near(expected.Quantile(level)[step], forecast.Quantile(level)[step], step);
                }
                Near(expected.Peak[step], forecast.Peak[step], step);
            }
        }

        static void Near(double expected, double actual, int step) =>
            Assert.True(Math.Abs(actual - expected) < 0.1 * expected, $"step {step}: {actual}, and {expected} after as many samples");
    }

    [Fact]
    public void AHistoryThatBreaksOffIsForecastFromAllTheSame()
    {
        var (forecaster, member) = (new Counting(), new CountingPredictor { FailsAt = 3001 });
        var predictor = new AutoPredictor([new ConformalPredictor(_ => forecaster), member]);
        var past = Slots(Monday, 5000, Minute);
        Assert.Throws<InvalidOperationException>(() => predictor.ObserveHistory(past));
        // No forecast was made after the last one it saw; it is made when it is asked for.
        var forecast = Forecast(predictor, past[3000].Start);
        Assert.InRange(forecast.Quantile(0)[0], 0.5 * past[2999].Rate, 1.5 * past[2999].Rate);
        var before = forecaster.Forecasts;
        Observe(predictor, past[3001..3011]);
        Assert.Equal(before + 10, forecaster.Forecasts);
    }

    [Fact]
    public void WhatIsNoSampleEndsTheHistoryBeforeIt()
    {
        var forecaster = new Counting();
        var predictor = new ConformalPredictor(_ => forecaster);
        var past = Slots(Monday, 5000, Minute);
        past[4000] = past[4000] with { Count = -1 };
        Assert.Throws<InvalidArrivalSampleException>(() => predictor.ObserveHistory(past));
        Assert.Equal((4000, HistoryPace.Forecasts), (forecaster.Observed, forecaster.Forecasts));
    }

    /// <summary>Forecasts the last rate.</summary>
    private sealed class Counting : IRateForecaster
    {
        private double _last;

        public int Observed { get; private set; }

        public int Forecasts { get; private set; }

        public void Observe(DateTimeOffset start, double rate)
        {
            Observed++;
            _last = rate;
        }

        public void Forecast(DateTimeOffset start, Span<double> rates)
        {
            Forecasts++;
            rates.Fill(_last);
        }
    }

    /// <summary>A predictor that is told a history as everything else.</summary>
    private sealed class CountingPredictor : IWorkloadPredictor
    {
        public int FailsAt { get; init; } = int.MaxValue;

        public int Observed { get; private set; }

        public int Forecasts { get; private set; }

        public void Observe(in ArrivalSample sample)
        {
            if (++Observed == FailsAt)
            {
                throw new InvalidOperationException("The predictor broke.");
            }
        }

        public void Forecast(WorkloadForecast forecast)
        {
            Forecasts++;
            forecast.Mean.Fill(1000);
            forecast.Peak.Fill(1000);
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level).Fill(1000);
            }
        }
    }
}
