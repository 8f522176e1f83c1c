using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class ClairvoyantPredictorTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch + TimeSpan.FromHours(3);

    private static WorkloadForecast Forecast(double startSeconds, int horizon, double stepSeconds)
    {
        // 1, 2, 6, 4 and 0 requests a second.
        var predictor = new ClairvoyantPredictor(new ArrivalTrace(TimeSpan.FromSeconds(30), [30, 60, 180, 120, 0]), Start);
        predictor.Observe(new ArrivalSample(Start, TimeSpan.FromSeconds(5), 1_000_000));
        var forecast = new WorkloadForecast(horizon, TimeSpan.FromSeconds(stepSeconds)) { Start = Start + TimeSpan.FromSeconds(startSeconds) };
        predictor.Forecast(forecast);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            Assert.Equal(forecast.Mean.ToArray(), forecast.Quantile(level).ToArray());
        }
        return forecast;
    }

    [Fact]
    public void EachIntervalHasItsTrueMeanAndItsBusiestSlot()
    {
        var forecast = Forecast(0, 2, 60);
        Assert.Equal([1.5, 5], forecast.Mean.ToArray());
        Assert.Equal([2.0, 6], forecast.Peak.ToArray());
    }

    [Fact]
    public void AnIntervalMayBeginAndEndWithinASlot()
    {
        // From 15 s: half of the first and half of the second slot; half of the second and half of the third; ...
        var forecast = Forecast(15, 3, 30);
        Assert.Equal([1.5, 4, 5], forecast.Mean.ToArray());
        Assert.Equal([2.0, 6, 6], forecast.Peak.ToArray());
        // Within one slot.
        Assert.All(Forecast(60, 3, 10).Mean.ToArray(), rate => Assert.Equal(6, rate, 9));
    }

    [Fact]
    public void BeforeAndAfterTheTraceNothingComes()
    {
        Assert.Equal([0.0, 1, 2], Forecast(-30, 3, 30).Mean.ToArray());
        var after = Forecast(90, 4, 30);
        Assert.Equal([4.0, 0, 0, 0], after.Mean.ToArray());
        Assert.Equal([4.0, 0, 0, 0], after.Peak.ToArray());
    }

    [Fact]
    public void StepsThatAreNoWholeNumberOfSlotsAddUpToAllThatComes()
    {
        var forecast = Forecast(0, 23, 7);
        Assert.Equal(390, forecast.Mean.ToArray().Sum() * 7, 9);
        Assert.All(Enumerable.Range(0, 23), t => Assert.True(forecast.Peak[t] >= forecast.Mean[t]));
    }
}
