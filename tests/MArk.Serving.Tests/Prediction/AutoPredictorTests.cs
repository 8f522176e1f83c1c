using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

/// <summary>How a mixture is made of its members: what each counts at a level, and how wide it is.</summary>
public sealed class AutoPredictorTests
{
    private const double Rate = 40;                             // requests/s: 200 in a slot,
    private static readonly double Deviation = Math.Sqrt(200) / 5;  // and so many requests/s more or less

    private static readonly DateTimeOffset Monday = new(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>The quantiles of a Poisson process's slots, some times as wide.</summary>
    private static Func<double, double> Normal(double rate = Rate, double width = 1) => level => rate + width * Deviation * NormalDistribution.Quantile(level);

    private static int Poisson(Random random, double mean)
    {
        var count = 0;
        for (var at = -Math.Log(1 - random.NextDouble()); at < mean; at -= Math.Log(1 - random.NextDouble()))
        {
            count++;
        }
        return count;
    }

    private static void Observe(IWorkloadPredictor predictor, ref DateTimeOffset at, int minutes, double rate, Random random)
    {
        for (var i = 0; i < 12 * minutes; i++, at += Slot)
        {
            predictor.Observe(new ArrivalSample(at, Slot, Poisson(random, rate * Slot.TotalSeconds)));
        }
    }

    private static WorkloadForecast Forecast(IWorkloadPredictor predictor, DateTimeOffset start, int horizon = 1)
    {
        var forecast = new WorkloadForecast(horizon, Minute) { Start = start };
        predictor.Forecast(forecast);
        return forecast;
    }

    [Fact]
    public void EachLevelIsTakenFromTheMemberThatErrsLessThere()
    {
        var right = Normal();
        var predictor = new AutoPredictor(
            [new Fixed(level => level > 0.5 ? right(level) : 0), new Fixed(level => level > 0.5 ? 10 * right(level) : right(level))], new PredictorOptions { Horizon = 1 });
        var at = Monday;
        Observe(predictor, ref at, 60, Rate, new Random(1));
        var forecast = Forecast(predictor, at);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            Assert.Equal(right(forecast.Levels[level]), forecast.Quantile(level)[0], 0.5);
        }
    }

    [Theory]
    [InlineData(68, 0, 0, 576, 203, 140, 16, 46)]
    [InlineData(0, 0, 0, 1000)]
    [InlineData(1000, 0, 0, 0, 1000, 0)]
    [InlineData(1, 10, 100, 1000)]
    public void WhatAFewIntervalsThatGoUpAndDownSayIsNotMultiplied(params int[] minutes)
    {
        var predictor = new AutoPredictor();
        var at = Monday;
        foreach (var rate in minutes)
        {
            for (var slot = 0; slot < 12; slot++, at += Slot)
            {
                predictor.Observe(new ArrivalSample(at, Slot, (int)(rate * Slot.TotalSeconds)));
                // A minute under way may move the forecast, but no further.
                Assert.All(Forecast(predictor, at + Slot, 60).Quantile(2).ToArray(), value => Assert.InRange(value, 0, 2 * minutes.Max() + 5));
            }
        }
        // With so few the high quantiles are not above one and a half times what was seen either, nor the mean a quarter above it.
        var forecast = Forecast(predictor, at, 60);
        Assert.All(forecast.Quantile(forecast.Levels.Length - 1).ToArray(), value => Assert.InRange(value, 0, 1.5 * minutes.Max()));
        Assert.All(forecast.Mean.ToArray(), value => Assert.InRange(value, 0, 1.25 * minutes.Max()));
    }

    [Fact]
    public void WhatMembersThatAreTooWideSayIsNarrowed()
    {
        var options = new PredictorOptions { Horizon = 1 };
        var predictor = new AutoPredictor([new Fixed(Normal(width: 1.3))], options);
        var random = new Random(2);
        var at = Monday;
        Observe(predictor, ref at, 1, Rate, random);
        Assert.Equal(Normal(width: 1.3)(0.9), Forecast(predictor, at).Quantile(2)[0], 1e-3);
        Observe(predictor, ref at, 3000, Rate, random);
        Assert.Equal(Normal()(0.9), Forecast(predictor, at).Quantile(2)[0], 0.4);
        Assert.Equal(Rate, Forecast(predictor, at).Quantile(0)[0], 1e-3);
    }

    [Fact]
    public void AfterASurpriseItIsNoWiderThanItsMembers()
    {
        var predictor = new AutoPredictor([new Fixed(Normal())], new PredictorOptions { Horizon = 60 });
        var random = new Random(3);
        var at = Monday;
        Observe(predictor, ref at, 120, Rate, random);
        Observe(predictor, ref at, 120, 3 * Rate, random);
        var forecast = Forecast(predictor, at, 60);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            // Nor any narrower: all that was too much before is less than what is missing since.
            Assert.All(forecast.Quantile(level).ToArray(), quantile => Assert.Equal(Normal()(forecast.Levels[level]), quantile, 1e-3));
        }
    }

    public static TheoryData<string> Workloads => ["step", "two states", "ramp"];

    [Theory]
    [MemberData(nameof(Workloads))]
    public void ItErrsLittleMoreThanTheBestOfItsMembers(string workload)
    {
        // Nothing was tuned on this seed.
        var random = new Random(77);
        var isHigh = false;
        var counts = Enumerable.Range(0, 12 * 60 * 12).Select(slot => Poisson(random, 5 * (workload switch
        {
            "step" => slot is >= 3000 and < 6000 ? 60 : 10,
            "two states" => (isHigh ^= random.NextDouble() < 1.0 / 120) ? 40 : 8,
            _ => 5 + slot / 160.0,
        }))).ToArray();
        var losses = Predictors.Names.ToDictionary(name => name, name => Loss(Predictors.Create(name, new PredictorOptions { Horizon = 30 }), counts));
        var best = losses.Where(l => l.Key != "auto").MinBy(l => l.Value);
        Assert.True(losses["auto"] <= 1.05 * best.Value, $"{losses["auto"]}; {best.Key} {best.Value}");
    }

    /// <summary>The quantile loss of all forecasts of 30 minutes after the first hour.</summary>
    private static double Loss(IWorkloadPredictor predictor, int[] counts)
    {
        var loss = 0.0;
        for (var slot = 0; slot < counts.Length; slot++)
        {
            predictor.Observe(new ArrivalSample(Monday + slot * Slot, Slot, counts[slot]));
            if ((slot + 1) % 12 > 0 || slot < 720)
            {
                continue;
            }
            var forecast = Forecast(predictor, Monday + (slot + 1) * Slot, 30);
            for (var ahead = 1; ahead <= 360 && slot + ahead < counts.Length; ahead++)
            {
                for (var level = 0; level < forecast.Levels.Length; level++)
                {
                    var over = counts[slot + ahead] / Slot.TotalSeconds - forecast.Quantile(level)[(ahead - 1) / 12];
                    loss += Math.Max(forecast.Levels[level] * over, (forecast.Levels[level] - 1) * over);
                }
            }
        }
        return loss;
    }

    [Fact]
    public void AShareGoesWithTheInverseOfTheLossAtItsStepAndLevel()
    {
        var shares = new MemberShares(new ForecastSteps(3), members: 2);
        var read = new double[2];
        shares.Read(0, 0, read);
        Assert.Equal([0.5, 0.5], read);
        double[] losses = [.. ForecastTable.Levels];
        double[] others = [.. losses.Select((loss, level) => level == 7 ? 2 * loss : loss)];
        for (var i = 0; i < 5; i++)
        {
            shares.Begin();
            shares.Reach(1);
            shares.Learn(1, [.. losses, .. others]);
        }
        shares.Read(1, 6, read);
        Assert.Equal([0.5, 0.5], read);
        shares.Read(1, 7, read);
        Assert.Equal(256.0 / 257, read[0], 1e-6);
        Assert.Equal(1, read.Sum(), 1e-12);
        // Of what is not known yet the last step before counts.
        Assert.Equal((0, 1, 1), (shares.Known(0), shares.Known(1), shares.Known(2)));
        shares.Clear();
        shares.Read(1, 7, read);
        Assert.Equal([0.5, 0.5], read);
    }

    [Fact]
    public void WhatAMemberErrsFarMoreThanTheBestCountsAtLongerStepsAtOnce()
    {
        var steps = new ForecastSteps(70);
        var shares = new MemberShares(steps, members: 2);
        void Interval(int judged, Func<int, double> first, Func<int, double> second)
        {
            var levels = Enumerable.Range(0, ForecastTable.Levels.Length).ToArray();
            double[] losses = [.. levels.Select(first), .. levels.Select(second)];
            shares.Begin();
            for (var step = 0; step < steps.Count; step++)
            {
                shares.Reach(step);
                if (step < judged)
                {
                    shares.Learn(step, losses);
                }
            }
        }
        double Share(int step, int level)
        {
            var read = new double[2];
            shares.Read(step, level, read);
            Assert.Equal(1, read.Sum(), 1e-12);
            return read[0];
        }
        for (var i = 0; i < 100; i++)
        {
            Interval(steps.Count, _ => 1, _ => 1);
        }
        // What both missed tells nothing of either, nor does what is no more than usual.
        Interval(10, _ => 50, _ => 50);
        Assert.Equal(0.5, Share(30, 4), 1e-12);
        for (var i = 0; i < 2000; i++)
        {
            Interval(steps.Count, _ => 1, _ => 1);
        }
        Interval(10, _ => 1, _ => 3);
        Assert.True(Share(5, 4) > 0.51);
        Assert.Equal(0.5, Share(30, 4), 1e-6);
        // Ten origins' worth of 50 more than the best and than twice the usual, at one level, from the step after those on.
        Interval(10, _ => 1, level => level == 7 ? 53 : 1);
        var worse = 1 + 50 * (1 - Math.Pow(0.99, 10));
        Assert.Equal(1 / (1 + Math.Pow(1 / worse, 8)), Share(10, 7), 1e-6);
        Assert.Equal(Share(10, 7), Share(steps.Count - 1, 7));
        Assert.Equal(0.5, Share(30, 6), 1e-6);
        // It is what the last interval shows, and no memory.
        Interval(10, _ => 1, _ => 1);
        Assert.Equal(0.5, Share(30, 7), 1e-6);
    }

    [Fact]
    public void AMemberWithTheBestOfOneLevelDragsNoOther()
    {
        var right = Normal();
        var isFarOff = false;
        var predictor = new AutoPredictor(
            [
                new Fixed(level => level < 0.05 ? 0 : right(level)),
                new Fixed(level => isFarOff ? 10 * Rate : level < 0.05 ? right(level) : 5 * Rate),
            ], new PredictorOptions { Horizon = 1 });
        var at = Monday;
        Observe(predictor, ref at, 60, Rate, new Random(4));
        isFarOff = true;
        Observe(predictor, ref at, 1, Rate, new Random(5));
        var forecast = Forecast(predictor, at);
        foreach (var (level, stated) in forecast.Levels.Select((stated, level) => (level, stated)).Where(l => l.stated <= 0.95))
        {
            Assert.Equal(right(stated), forecast.Quantile(level)[0], Deviation);
        }
    }

    [Fact]
    public void AfterAChangeItFollowsTheMemberThatDoes()
    {
        // The other one expects for ever what was; an hour ahead that is shown only an hour later.
        var options = new PredictorOptions { Horizon = 60 };
        var predictor = new AutoPredictor([Predictors.LastValue(options), new Fixed(Normal())], options);
        var random = new Random(6);
        var at = Monday;
        Observe(predictor, ref at, 180, Rate, random);
        Observe(predictor, ref at, 5, 5 * Rate, random);
        Assert.All(Forecast(predictor, at, 60).Quantile(0).ToArray(), median => Assert.Equal(5 * Rate, median, 0.5 * Rate));
    }

    [Fact]
    public void LevelsOnlyGoTowardsTheMedianAndBack()
    {
        var steps = new ForecastSteps(60);
        var levels = new NarrowedLevels(steps);
        levels.Clear();
        var stated = ForecastTable.Levels;
        double[] none = new double[stated.Length];
        double[] all = [.. stated.Select(_ => 1.0)];
        double[] tooWide = [.. stated.Select(level => level > 0.5 ? 1.0 : 0)];
        double[] tooNarrow = [.. stated.Select(level => level > 0.5 ? 0.0 : 1)];
        levels.Adapt(0, tooNarrow);
        Assert.Equal(stated, levels.Of(0));
        levels.Adapt(0, tooWide);
        levels.Adapt(30, tooWide);
        // By 0.002 of what was too much for the next interval, by half of it for that which is 30 further.
        Assert.Equal((0.1 + 0.0002, 0.5, 0.9 - 0.0002), (levels.Of(0)[1], levels.Of(0)[4], levels.Of(0)[7]));
        Assert.Equal((0.1 + 0.0001, 0.5, 0.9 - 0.0001), (levels.Of(30)[1], levels.Of(30)[4], levels.Of(30)[7]));
        Assert.Equal(stated, levels.Of(1));
        levels.Adapt(0, tooNarrow);
        Assert.Equal(stated, levels.Of(0));
        for (var i = 0; i < 30_000; i++)
        {
            levels.Adapt(0, i % 2 == 0 ? all : tooWide);
        }
        Assert.All(levels.Of(0).ToArray()[5..], level => Assert.Equal(0.5, level, 1e-9));
        levels.Adapt(2, none);
        Assert.Equal(0.1 + 0.0002 / (1 + 2 / 30.0), levels.Of(2)[1], 1e-12);
        levels.Clear();
        Assert.Equal(stated, levels.Of(0));
    }

    /// <summary>Forecasts the same quantiles for ever.</summary>
    private sealed class Fixed(Func<double, double> quantile) : IWorkloadPredictor
    {
        public void Observe(in ArrivalSample sample)
        {
            // Learns nothing.
        }

        public void Forecast(WorkloadForecast forecast)
        {
            forecast.Mean.Fill(quantile(0.5));
            forecast.Peak.Fill(quantile(0.99));
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level).Fill(quantile(forecast.Levels[level]));
            }
        }
    }
}
