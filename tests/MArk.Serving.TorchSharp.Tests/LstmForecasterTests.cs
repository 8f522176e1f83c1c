using static MArk.Serving.TorchSharp.Tests.Waves;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>What a forecaster answers before it has learned, and by weights that it is given: without libtorch.</summary>
public sealed class LstmForecasterTests
{
    private static LstmForecaster WithWeights(int seed = 1)
    {
        var forecaster = New();
        forecaster.Load(new MemoryStream(Drawn(ShapeOf(Small), seed).ToBytes()));
        return forecaster;
    }

    [Fact]
    public void WithoutAnIntervalEveryRateIsZero()
    {
        Assert.Equal(Same(0), New().Ahead(0));
        Assert.Equal(Same(0), WithWeights().Ahead(0));
    }

    [Fact]
    public void WhatWasLastStaysUntilItHasLearned()
    {
        var forecaster = New().Observe(0, 150);
        Assert.False(forecaster.HasLearned);
        Assert.Equal(Same(Rate(149)), forecaster.Ahead(150));
    }

    [Fact]
    public void AWindowThatIsNotWholeIsNotForecastFrom()
    {
        var forecaster = WithWeights().Observe(0, Small.Window);
        Assert.Equal(Same(Rate(Small.Window - 1)), forecaster.Ahead(Small.Window));
        forecaster.Observe(Small.Window, 1);
        Assert.NotEqual(Same(Rate(Small.Window)), forecaster.Ahead(Small.Window + 1));
    }

    [Fact]
    public void AfterAGapWhatWasLastStaysUntilAWindowIsWholeAgain()
    {
        var forecaster = WithWeights().Observe(0, 100);
        Assert.NotEqual(Same(Rate(99)), forecaster.Ahead(100));
        forecaster.Observe(101, Small.Window);
        Assert.Equal(Same(Rate(100 + Small.Window)), forecaster.Ahead(101 + Small.Window));
        forecaster.Observe(101 + Small.Window, 1);
        // The same as of one that never saw what was before the gap.
        Assert.Equal(WithWeights().Observe(101, Small.Window + 1).Ahead(102 + Small.Window), forecaster.Ahead(102 + Small.Window));
    }

    [Fact]
    public void IntervalsThatAreNotThereYetAreSkippedAndThoseBeyondTheHorizonStay()
    {
        var forecaster = WithWeights().Observe(0, 100);
        var path = forecaster.Ahead(100);
        Assert.True(path.Distinct().Count() > 5);
        Assert.Equal([.. path[3..], .. Same(path[^1], 5)], forecaster.Ahead(103, Horizon + 2));
        Assert.Equal(Same(path[^1]), forecaster.Ahead(5000));
    }

    [Fact]
    public void RatesAreNeverNegativeAndFiniteHoweverFarTheyAreFromWhatWasTrainedOn()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var forecaster = WithWeights(seed);
            for (var minute = 0; minute <= 100; minute++)
            {
                forecaster.Observe(Monday + minute * Minute, minute % 3 == 0 ? 1e300 : 0);
                Assert.All(forecaster.Ahead(minute + 1), rate => Assert.True(rate >= 0 && double.IsFinite(rate)));
            }
        }
    }

    [Fact]
    public void WeightsAndRatesThatOverflowGiveRatesAllTheSame()
    {
        var shape = ShapeOf(Small);
        foreach (var scale in new[] { double.Epsilon, 1, double.MaxValue })
        {
            foreach (var centre in new[] { double.MinValue, 0, double.MaxValue })
            {
                var forecaster = New();
                forecaster.Load(new MemoryStream(LstmWeights.Create(
                    shape, centre, scale, Huge(shape.Gates), Huge(shape.Gates * shape.HiddenUnits), Huge(shape.Gates), Huge(shape.Horizon * shape.HiddenUnits), Huge(shape.Horizon)).ToBytes()));
                for (var minute = 0; minute < 50; minute++)
                {
                    forecaster.Observe(Monday + minute * Minute, minute % 2 == 0 ? double.MaxValue : 0);
                    Assert.All(forecaster.Ahead(minute + 1), rate => Assert.True(rate >= 0 && double.IsFinite(rate), $"{rate}"));
                }
            }
        }

        static float[] Huge(int count) => [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? float.MaxValue : float.MinValue)];
    }

    [Fact]
    public void WhatIsNoIntervalIsRefusedAndNothingElseIsLost()
    {
        var forecaster = WithWeights().Observe(0, 100);
        var before = forecaster.Ahead(100);
        Assert.Contains("ascending", Refused(99, 1));
        Assert.Contains("ascending", Refused(50, 1));
        Assert.Contains("at least 0", Refused(100, -1));
        Assert.Contains("finite", Refused(100, double.NaN));
        Assert.Contains("finite", Refused(100, double.PositiveInfinity));
        Assert.Equal(before, forecaster.Ahead(100));

        string Refused(int minute, double rate) =>
            Assert.Throws<ArgumentOutOfRangeException>(() => forecaster.Observe(Monday + minute * Minute, rate)).Message;
    }

    [Fact]
    public void NothingIsAllocatedByAnIntervalOrAForecastHoweverManyThereWere()
    {
        var forecaster = WithWeights().Observe(0, LstmOptions.KeptIntervals + 100);
        var rates = new double[Horizon];
        Step(LstmOptions.KeptIntervals + 100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var minute = LstmOptions.KeptIntervals + 101; minute < LstmOptions.KeptIntervals + 300; minute++)
        {
            Step(minute);
        }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step(int minute)
        {
            forecaster.Observe(Monday + minute * Minute, Rate(minute));
            forecaster.Forecast(Monday + (minute + 1) * Minute, rates);
        }
    }

    [Fact]
    public void NoMoreThanTwoWeeksOfMinutesAreTrainedOn()
    {
        var history = new RateHistory(LstmOptions.KeptIntervals);
        for (var i = 0; i < 3 * LstmOptions.KeptIntervals; i++)
        {
            history.Add(i, i);
        }
        var rates = history.ToArray();
        Assert.Equal((LstmOptions.KeptIntervals, 2.0 * LstmOptions.KeptIntervals, 3.0 * LstmOptions.KeptIntervals - 1), (rates.Length, rates[0], rates[^1]));
    }

    [Fact]
    public void TrainingIsDueAfterTheMinimumHistoryAndThenAfterEachSoManyIntervals()
    {
        var forecaster = New();
        var due = new List<int>();
        for (var minute = 0; minute < 500; minute++)
        {
            forecaster.Observe(minute, 1);
            if (forecaster.TakeTrainingJob() is not null)
            {
                due.Add(minute + 1);
                Assert.Null(forecaster.TakeTrainingJob());
            }
        }
        Assert.Equal([200, 300, 400, 500], due);
    }

    [Fact]
    public void ThereIsNoTrainingWhileGapsLeaveTooFewWindows()
    {
        var forecaster = New();
        for (var part = 0; part < 20; part++)
        {
            // A window and its horizon need 31 intervals in a row.
            forecaster.Observe(31 * part, 30);
            Assert.Null(forecaster.TakeTrainingJob());
        }
        forecaster.Observe(1000, 150);
        Assert.NotNull(forecaster.TakeTrainingJob());
    }

    [Fact]
    public void AJobThatHasNotRunCannotBeApplied()
    {
        var forecaster = New().Observe(0, 200);
        Assert.Throws<InvalidOperationException>(forecaster.TakeTrainingJob()!.Apply);
        Assert.False(forecaster.HasLearned);
    }

    public static TheoryData<string, Action> OutOfRange { get; } = new()
    {
        { "hidden units must be 1 to 512", () => _ = new LstmOptions { HiddenUnits = 0 } },
        { "hidden units must be 1 to 512", () => _ = new LstmOptions { HiddenUnits = 513 } },
        { "window must be 1 to 1440", () => _ = new LstmOptions { Window = 0 } },
        { "window must be 1 to 1440", () => _ = new LstmOptions { Window = 1441 } },
        { "epochs must be 1 to 10000", () => _ = new LstmOptions { Epochs = 0 } },
        { "epochs must be 1 to 10000", () => _ = new LstmOptions { Epochs = 10_001 } },
        { "learning rate must be more than 0 and at most 1", () => _ = new LstmOptions { LearningRate = 0 } },
        { "learning rate must be more than 0 and at most 1", () => _ = new LstmOptions { LearningRate = double.NaN } },
        { "learning rate must be more than 0 and at most 1", () => _ = new LstmOptions { LearningRate = 1.5 } },
        { "minimum history must be 1 to 20160", () => _ = new LstmOptions { MinimumHistory = 0 } },
        { "minimum history must be 1 to 20160", () => _ = new LstmOptions { MinimumHistory = 20_161 } },
        { "trained again must be 1 to 20160", () => _ = new LstmOptions { RetrainAfter = 0 } },
        { "trained again must be 1 to 20160", () => _ = new LstmOptions { RetrainAfter = 20_161 } },
        { "threads must be 1 to 1024", () => _ = new LstmOptions { Threads = 0 } },
        { "threads must be 1 to 1024", () => _ = new LstmOptions { Threads = 1025 } },
        { "horizon must be 1 to 1440", () => _ = new LstmForecaster(Minute, 0) },
        { "horizon must be 1 to 1440", () => _ = new LstmForecaster(Minute, 1441) },
        { "interval", () => _ = new LstmForecaster(TimeSpan.Zero, 60) },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public void WhatIsOutsideItsRangeIsRefused(string range, Action make) =>
        Assert.Contains(range, Assert.Throws<ArgumentOutOfRangeException>(make).Message);
}
