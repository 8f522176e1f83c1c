using CsCheck;
using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

/// <summary>The built-in predictors and their mixture, on series whose future is known.</summary>
public sealed class PredictorTests
{
    private static readonly DateTimeOffset Monday = new(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    public static TheoryData<string> All => [.. Predictors.Names];

    public static TheoryData<string> Seasonal => ["auto", "holt-winters", "ridge", "seasonal-naive"];

    private static int Poisson(Random random, double mean)
    {
        var count = 0;
        for (var at = -Math.Log(1 - random.NextDouble()); at < mean; at -= Math.Log(1 - random.NextDouble()))
        {
            count++;
        }
        return count;
    }

    /// <summary>Observes slots of a rate, Poisson if there is a random source.</summary>
    /// <returns>When the last one ended.</returns>
    private static DateTimeOffset Feed(IWorkloadPredictor predictor, DateTimeOffset from, TimeSpan length, TimeSpan slot, Func<DateTimeOffset, double> rate, Random? random = null)
    {
        for (var at = from; at < from + length; at += slot)
        {
            var mean = rate(at) * slot.TotalSeconds;
            predictor.Observe(new ArrivalSample(at, slot, random is null ? (long)Math.Round(mean) : Poisson(random, mean)));
        }
        return from + length;
    }

    private static WorkloadForecast Forecast(IWorkloadPredictor predictor, DateTimeOffset start, int horizon = 60, TimeSpan? step = null)
    {
        var forecast = new WorkloadForecast(horizon, step ?? Minute) { Start = start };
        predictor.Forecast(forecast);
        return forecast;
    }

    private static void IsADistribution(WorkloadForecast forecast)
    {
        for (var step = 0; step < forecast.Horizon; step++)
        {
            var before = 0.0;
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                var quantile = forecast.Quantile(level)[step];
                Assert.True(double.IsFinite(quantile) && quantile >= before, $"quantile {forecast.Levels[level]} of step {step} is {quantile}, the one below it {before}");
                before = quantile;
            }
            Assert.True(double.IsFinite(forecast.Mean[step]) && forecast.Mean[step] >= 0, $"mean {forecast.Mean[step]}");
            Assert.True(double.IsFinite(forecast.Peak[step]) && forecast.Peak[step] >= 0, $"peak {forecast.Peak[step]}");
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void WhateverArrivesTheForecastIsADistribution(string name) =>
        Gen.Select(Gen.Int[0, 4], Gen.Select(Gen.Int[0, 8], Gen.Long[0, 3000]).Array[1, 300]).Sample((slotIndex, arrivals) =>
        {
            var slot = TimeSpan.FromSeconds(new[] { 1, 5, 20, 60, 300 }[slotIndex]);
            var predictor = Predictors.Create(name, new PredictorOptions { Horizon = 20 });
            var at = Monday;
            foreach (var (skipped, count) in arrivals)
            {
                // Now and then some slots are missing, and now and then very many.
                at += skipped switch { 8 => 500, 7 => 3, _ => 0 } * slot;
                predictor.Observe(new ArrivalSample(at, slot, skipped < 3 ? 0 : count));
                at += slot;
            }
            var step = slot > Minute ? slot : Minute;
            IsADistribution(Forecast(predictor, at, 20, step));
            IsADistribution(Forecast(predictor, at + 7 * step, 20, step));
        }, iter: 60);

    [Theory]
    [MemberData(nameof(All))]
    public void WithoutAnyHistoryNothingIsExpectedAndThenWhatWasSeen(string name)
    {
        var predictor = Predictors.Create(name);
        var nothing = Forecast(predictor, Monday);
        IsADistribution(nothing);
        Assert.All(nothing.Quantile(4).ToArray(), q => Assert.Equal(0, q));
        var end = Feed(predictor, Monday, 3 * Slot, Slot, _ => 20);
        var forecast = Forecast(predictor, end);
        IsADistribution(forecast);
        Assert.InRange(forecast.Quantile(0)[0], 19.9, 20.1);
        Assert.InRange(forecast.Quantile(0)[59], 19.9, 20.1);
        Assert.InRange(forecast.Peak[0], 22, 40);
        end = Feed(predictor, end, 2 * Minute - 3 * Slot, Slot, _ => 20);
        forecast = Forecast(predictor, end);
        IsADistribution(forecast);
        Assert.InRange(forecast.Quantile(0)[0], 15, 25);
        Assert.InRange(forecast.Quantile(0)[59], 10, 30);
        Assert.True(forecast.Quantile(4)[59] > 20, $"P99 {forecast.Quantile(4)[59]}: one hour on nothing is certain");
    }

    [Theory]
    [MemberData(nameof(Seasonal))]
    public void ADaysSeasonIsLearned(string name)
    {
        static double Rate(DateTimeOffset at) => 20 * (1 + 0.7 * Math.Sin(2 * Math.PI * at.TimeOfDay.TotalDays));
        var slot = TimeSpan.FromMinutes(10);
        var predictor = Predictors.Create(name);
        var last = Predictors.LastValue();
        var random = new Random(1);
        var (error, lastError) = (0.0, 0.0);
        var at = Monday;
        for (var i = 0; i < 8 * 144; i++, at += slot)
        {
            var sample = new ArrivalSample(at, slot, Poisson(random, Rate(at) * slot.TotalSeconds));
            predictor.Observe(sample);
            last.Observe(sample);
            if (i >= 6 * 144)
            {
                error += Math.Abs(Forecast(predictor, at + slot, 36, slot).Quantile(0)[35] - Rate(at + 36 * slot));
                lastError += Math.Abs(Forecast(last, at + slot, 36, slot).Quantile(0)[35] - Rate(at + 36 * slot));
            }
        }
        // A quarter of a day ahead the last value is off by the season.
        Assert.True(error < 0.25 * lastError, $"off by {error / 288} on the mean, the last value by {lastError / 288}");
    }

    [Fact]
    public void TheDayIsThatOfTheTimeZone()
    {
        // From the second day on an hour is skipped in the zone, and the pattern with it: it stays at the zone's noon.
        var zone = TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.Zero, "test", "test", "test", [TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
            new DateTime(2024, 1, 1), new DateTime(2024, 12, 31), TimeSpan.FromHours(1),
            TimeZoneInfo.TransitionTime.CreateFixedDateRule(new DateTime(1, 1, 1, 1, 0, 0), 1, 5), TimeZoneInfo.TransitionTime.CreateFixedDateRule(new DateTime(1, 1, 1, 2, 0, 0), 12, 1))]);
        double Rate(DateTimeOffset at) => TimeZoneInfo.ConvertTime(at, zone).Hour == 12 ? 50 : 5;
        var slot = TimeSpan.FromMinutes(10);
        double Expected(TimeZoneInfo of)
        {
            var predictor = Predictors.SeasonalNaive(new PredictorOptions { TimeZone = of });
            var end = Feed(predictor, Monday, TimeSpan.FromHours(4 * 24 + 10), slot, Rate);
            // The zone's noon of the day after the change, from 11:00 UTC on.
            return Forecast(predictor, end, 12, slot).Quantile(0)[8];
        }
        Assert.InRange(Expected(zone), 40, 60);
        Assert.InRange(Expected(TimeZoneInfo.Utc), 0, 20);
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("holt-winters")]
    [InlineData("ridge")]
    public void ALevelShiftIsFollowedWithinAMinute(string name)
    {
        var predictor = Predictors.Create(name);
        var random = new Random(2);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(3), Slot, _ => 10, random);
        Assert.InRange(Forecast(predictor, end).Quantile(0)[0], 8, 12);
        end = Feed(predictor, end, Minute, Slot, _ => 100, random);
        var forecast = Forecast(predictor, end);
        Assert.InRange(forecast.Quantile(0)[0], 70, 130);
        Assert.InRange(forecast.Quantile(0)[10], 60, 130);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void NoiseIsCoveredAsOftenAsTheLevelsSay(string name)
    {
        var predictor = Predictors.Create(name, new PredictorOptions { Horizon = 10 });
        var random = new Random(3);
        var forecast = new WorkloadForecast(10, Minute);
        var (covered, samples) = (new double[forecast.Levels.Length], 0);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(4), Slot, _ => 12, random);
        for (var minute = 0; minute < 600; minute++, end += Minute)
        {
            forecast.Start = end;
            predictor.Forecast(forecast);
            for (var i = 0; i < 12; i++)
            {
                var count = Poisson(random, 12 * Slot.TotalSeconds);
                for (var level = 0; level < covered.Length; level++)
                {
                    covered[level] += count / Slot.TotalSeconds <= forecast.Quantile(level)[0] ? 1 : 0;
                }
                samples++;
                predictor.Observe(new ArrivalSample(end + i * Slot, Slot, count));
            }
        }
        // 7,200 samples, a step of one request is 5 % of the median's neighbourhood.
        Assert.InRange(covered[0] / samples, 0.44, 0.58);
        Assert.InRange(covered[2] / samples, 0.87, 0.93);
        Assert.InRange(covered[4] / samples, 0.98, 0.998);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void AGapIsNoZero(string name)
    {
        var predictor = Predictors.Create(name);
        var random = new Random(4);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(3), Slot, _ => 30, random) + TimeSpan.FromMinutes(20);
        var after = Forecast(predictor, end);
        Assert.InRange(after.Quantile(0)[0], 20, 40);
        end = Feed(predictor, end, 3 * Minute, Slot, _ => 30, random);
        Assert.InRange(Forecast(predictor, end).Quantile(0)[0], 24, 36);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void TheSameObservationsGiveTheSameForecast(string name)
    {
        double[] Run()
        {
            var predictor = Predictors.Create(name);
            var end = Feed(predictor, Monday, TimeSpan.FromHours(2), Slot, at => 10 + at.Minute, new Random(5));
            var forecast = Forecast(predictor, end);
            return [.. forecast.Mean, .. forecast.Peak, .. forecast.Quantile(2)];
        }
        Assert.Equal(Run(), Run());
    }

    [Theory]
    [MemberData(nameof(All))]
    public void AskingTwiceChangesNothing(string name)
    {
        var predictor = Predictors.Create(name);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(1), Slot, at => 10 + at.Minute, new Random(6));
        var first = Forecast(predictor, end).Quantile(3).ToArray();
        Forecast(predictor, end + TimeSpan.FromMinutes(7));
        Assert.Equal(first, Forecast(predictor, end).Quantile(3).ToArray());
    }

    [Fact]
    public void WhatIsReplayedInMinutesCountsAsHistory()
    {
        var predictor = Predictors.Create("auto");
        var random = new Random(7);
        var at = Monday;
        for (; at < Monday + TimeSpan.FromHours(6); at += Minute)
        {
            var slots = Enumerable.Range(0, 12).Select(_ => Poisson(random, 100)).ToArray();
            predictor.Observe(new ArrivalSample(at, Minute, slots.Sum()) { PeakRate = slots.Max() / 5.0 });
        }
        var end = Feed(predictor, at, 2 * Minute, Slot, _ => 20, random);
        var forecast = Forecast(predictor, end);
        Assert.InRange(forecast.Quantile(0)[0], 18, 22);
        // The dispersion of slots of 5 s, 2 requests/s, not that of minutes.
        Assert.InRange(forecast.Quantile(2)[0] - forecast.Quantile(0)[0], 1.5, 5);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void WhatIsNoSampleIsRefusedAndNothingElseIsLost(string name)
    {
        var predictor = Predictors.Create(name);
        var end = Feed(predictor, Monday, TimeSpan.FromMinutes(30), Slot, _ => 20);
        Assert.Contains("ascending", Refused(new ArrivalSample(end - Slot, Slot, 1)));
        Assert.Contains("ascending", Refused(new ArrivalSample(Monday, Slot, 1)));
        Assert.Contains("count is at least 0", Refused(new ArrivalSample(end, Slot, -1)));
        Assert.Contains("more than zero", Refused(new ArrivalSample(end, TimeSpan.Zero, 1)));
        Assert.Contains("finite", Refused(new ArrivalSample(end, Slot, 1) { PeakRate = double.PositiveInfinity }));
        end = Feed(predictor, end, Minute, Slot, _ => 20);
        Assert.InRange(Forecast(predictor, end).Quantile(0)[0], 18, 22);

        string Refused(ArrivalSample sample) => Assert.Throws<InvalidArrivalSampleException>(() => predictor.Observe(sample)).Message;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void MoreThanTheHorizonIsRefused(string name)
    {
        var predictor = Predictors.Create(name, new PredictorOptions { Horizon = 10 });
        var end = Feed(predictor, Monday, TimeSpan.FromMinutes(30), Slot, _ => 20);
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => Forecast(predictor, end, 11));
        Assert.Contains("at most 10", error.Message);
        IsADistribution(Forecast(predictor, end, 10));
        IsADistribution(Forecast(predictor, end, 20, TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(WorkloadForecast.MaxHorizon + 1)]
    public void AHorizonOutsideItsRangeIsRefused(int horizon)
    {
        Assert.Contains("1440", Assert.Throws<ArgumentOutOfRangeException>(() => new PredictorOptions { Horizon = horizon }).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkloadForecast(horizon, Minute));
    }

    [Fact]
    public void AnUnknownPredictorIsRefusedWithThoseThereAre() =>
        Assert.Contains("accepted: auto, holt-winters, last-value, moving-maximum, ridge, seasonal-naive",
            Assert.Throws<ServingException>(() => Predictors.Create("lstm")).Message);

    [Fact]
    public void AMixtureNeedsMembers() => Assert.Throws<ArgumentException>(() => new AutoPredictor([]));

    [Fact]
    public void AMixtureGoesWithTheMemberThatErrsLess()
    {
        var predictor = new AutoPredictor([new Fixed(40), new Fixed(200), new Fixed(41)]);
        var random = new Random(8);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(1), Slot, _ => 40, random);
        Assert.InRange(Forecast(predictor, end).Quantile(0)[0], 36, 44);
    }

    [Fact]
    public void AMixtureHasItsMembersTrainedInTurn()
    {
        var members = new[] { new Fixed(1), new Fixed(2), new Fixed(3) };
        var predictor = new AutoPredictor(members);
        Assert.Null(predictor.TakeTrainingJob());
        members[0].Due = 2;
        members[2].Due = 1;
        var jobs = Enumerable.Range(0, 4).Select(_ => predictor.TakeTrainingJob()).ToArray();
        Assert.Equal([members[0], members[2], members[0], null], jobs.Select(job => (job as Job)?.Of));
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("holt-winters")]
    [InlineData("ridge")]
    public void AFlashCrowdIsFollowedBeforeItsMinuteIsOver(string name)
    {
        var predictor = Predictors.Create(name);
        var random = new Random(9);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(3), Slot, _ => 10, random);
        end = Feed(predictor, end, TimeSpan.FromSeconds(10), Slot, _ => 200, random);
        Assert.InRange(Forecast(predictor, end).Quantile(0)[0], 8, 12);
        end = Feed(predictor, end, TimeSpan.FromSeconds(20), Slot, _ => 200, random);
        var forecast = Forecast(predictor, end);
        Assert.InRange(forecast.Quantile(0)[0], 100, 260);
        Assert.InRange(forecast.Quantile(0)[5], 100, 260);
        IsADistribution(forecast);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void TheMeanIsThatOfTheSamplesAndThePeakIsAboveMostOfThem(string name)
    {
        var predictor = Predictors.Create(name);
        var end = Feed(predictor, Monday, TimeSpan.FromHours(5), Slot, _ => 4, new Random(10));
        var forecast = Forecast(predictor, end);
        // Slots of 20 requests: 4 +- 0.9 requests/s; the highest of twelve lies at 5.6 in the middle, below 6.4 nine times of ten.
        Assert.All([0, 20, 59], step => Assert.InRange(forecast.Mean[step], 3.7, 4.3));
        Assert.All([0, 20, 59], step => Assert.InRange(forecast.Peak[step], 5.6, 7.6));
    }

    [Fact]
    public void HoursThenMinutesThenSlotsAreOneHistory()
    {
        static double Rate(DateTimeOffset at) => at.Hour is >= 8 and < 18 ? 50 : 5;
        var predictor = Predictors.Create("auto");
        var random = new Random(11);
        var at = Feed(predictor, Monday, TimeSpan.FromDays(3), TimeSpan.FromHours(1), Rate, random);
        at = Feed(predictor, at, TimeSpan.FromHours(3), Minute, Rate, random);
        at = Feed(predictor, at, TimeSpan.FromHours(4.6), Slot, Rate, random);
        // At 7:36 the day is known from the hours alone.
        var forecast = Forecast(predictor, at);
        Assert.InRange(forecast.Quantile(0)[5], 4, 7);
        Assert.InRange(forecast.Quantile(0)[45], 20, 60);
    }

    [Fact]
    public void ATrainableForecasterIsTrained()
    {
        var forecaster = new TrainableForecaster();
        var predictor = new AutoPredictor([Predictors.LastValue(), new ConformalPredictor(_ => forecaster)]);
        Assert.Null(predictor.TakeTrainingJob());
        Feed(predictor, Monday, Minute, Slot, _ => 3);
        Assert.Same(forecaster.Job, predictor.TakeTrainingJob());
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(-1)]
    public void AForecasterThatAnswersNoRateIsNamed(double answer)
    {
        var predictor = new ConformalPredictor(_ => new TrainableForecaster { Answer = answer });
        var error = Assert.Throws<ServingException>(() => Feed(predictor, Monday, Minute, Slot, _ => 3));
        Assert.Contains(nameof(TrainableForecaster), error.Message);
        Assert.Contains("accepted is a finite number of at least 0", error.Message);
    }

    [Fact]
    public void ALevelsCoverageOfCertainZerosIsItsShareOfThem()
    {
        var score = new QuantileScore();
        var (losses, covered) = (new double[10], new double[10]);
        // 0 up to the level 0.8; one sample in four lies above.
        score.Set([0, 2, 0, 0]);
        var loss = score.Judge([0, 0, 0, 0, 0, 0, 0, 1, 1, 3], losses, covered);
        Assert.Equal([0.75 * 0.02 / 0.8, 0.75 * 0.1 / 0.8, 0.75 * 0.2 / 0.8, 0.75 * 0.35 / 0.8, 0.75 * 0.5 / 0.8, 0.75 * 0.65 / 0.8, 0.75, 0.75, 0.75, 1],
            covered, new Close());
        // 2 above zeros at (0.02 + ... + 0.8), 1 above ones at 0.9 and 0.95, and what lies below the others.
        var expected = 2 * (0.02 + 0.1 + 0.2 + 0.35 + 0.5 + 0.65 + 0.8) + (0.9 + 0.95) + 3 * (0.1 + 0.05) + (3 * 3 + 1) * 0.01;
        Assert.Equal(expected / 40, loss, 9);
        Assert.Equal(loss, losses.Average(), 9);
        // At 0.5: half of 2, once in four; at 0.99: 0.01 of 3, three times in four, and of 1.
        Assert.Equal([0.25, 0.025], [losses[4], losses[9]], new Close());
    }

    private sealed class Close : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) < 1e-9;

        public int GetHashCode(double value) => 0;
    }

    private sealed class TrainableForecaster : IRateForecaster, ITrainable
    {
        private bool _isDue;

        public double Answer { get; init; } = 3;

        public ITrainingJob Job { get; } = new Job(new Fixed(0));

        public void Observe(DateTimeOffset start, double rate) => _isDue = true;

        public void Forecast(DateTimeOffset start, Span<double> rates) => rates.Fill(Answer);

        public ITrainingJob? TakeTrainingJob()
        {
            var job = _isDue ? Job : null;
            _isDue = false;
            return job;
        }
    }

    private sealed record Job(Fixed Of) : ITrainingJob
    {
        public void Run(CancellationToken cancellationToken)
        {
            // There is nothing to learn.
        }

        public void Apply()
        {
            // Nothing was learned.
        }
    }

    /// <summary>Forecasts the same for ever.</summary>
    private sealed class Fixed(double rate) : IWorkloadPredictor, ITrainable
    {
        public int Due { get; set; }

        public ITrainingJob? TakeTrainingJob() => Due-- > 0 ? new Job(this) : null;

        public void Observe(in ArrivalSample sample)
        {
            // Learns nothing.
        }

        public void Forecast(WorkloadForecast forecast)
        {
            forecast.Mean.Fill(rate);
            forecast.Peak.Fill(rate);
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level).Fill(rate);
            }
        }
    }
}
