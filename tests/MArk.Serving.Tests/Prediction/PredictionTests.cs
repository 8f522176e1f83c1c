using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

public sealed class PredictionTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);

    private static List<ArrivalSample> Take(ArrivalCounter counter, DateTimeOffset now)
    {
        var samples = new List<ArrivalSample>();
        while (counter.TryTakeFinished(now, out var sample))
        {
            samples.Add(sample);
        }
        return samples;
    }

    [Fact]
    public void SlotsAreAlignedAndZerosAreTrueButAPartialFirstSlotIsLeftOut()
    {
        var counter = new ArrivalCounter(Slot, Noon.AddSeconds(2));
        counter.Add(Noon.AddSeconds(3), 7);
        counter.Add(Noon.AddSeconds(6), 1);
        counter.Add(Noon.AddSeconds(9.999), 2);
        counter.Add(Noon.AddSeconds(16), 4);
        Assert.Equal(
            [new ArrivalSample(Noon.AddSeconds(5), Slot, 3), new ArrivalSample(Noon.AddSeconds(10), Slot, 0)],
            Take(counter, Noon.AddSeconds(19)));
        Assert.Equal([new ArrivalSample(Noon.AddSeconds(15), Slot, 4)], Take(counter, Noon.AddSeconds(20)));
        Assert.Empty(Take(counter, Noon.AddSeconds(21)));
    }

    [Fact]
    public void ACounterThatBeginsWithItsSlotKeepsIt()
    {
        var counter = new ArrivalCounter(Slot, Noon);
        counter.Add(Noon, 5);
        Assert.Equal(1.0, Assert.Single(Take(counter, Noon.AddSeconds(5))).Rate);
    }

    private static WorkloadForecast Forecast(params long[] counts)
    {
        var predictor = new MovingMaximumPredictor(TimeSpan.FromSeconds(50), headroom: 1.5);
        for (var i = 0; i < counts.Length; i++)
        {
            predictor.Observe(new ArrivalSample(Noon + i * Slot, Slot, counts[i]));
        }
        var forecast = new WorkloadForecast(3, TimeSpan.FromMinutes(1));
        predictor.Forecast(forecast);
        return forecast;
    }

    [Fact]
    public void WithoutHistoryNothingIsExpected()
    {
        var forecast = Forecast();
        Assert.Equal([0.0, 0, 0], forecast.Mean.ToArray());
        Assert.Equal([0.0, 0, 0], forecast.Peak.ToArray());
        Assert.Equal([0.0, 0, 0], forecast.Quantile(4).ToArray());
    }

    [Fact]
    public void ThePeakIsTheHighestRecentSlotWithHeadroomAndOldOnesAreForgotten()
    {
        // 1000 falls out of the window of ten slots; 5 to 50 remain: 1/s to 10/s.
        var forecast = Forecast(1000, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50);
        Assert.Equal([15.0, 15, 15], forecast.Peak.ToArray());
        Assert.Equal(5.5, forecast.Mean[0], 9);
        Assert.Equal(5.0, forecast.Quantile(0)[0]);
        Assert.Equal(8.0, forecast.Quantile(1)[2]);
        Assert.Equal(9.0, forecast.Quantile(2)[1]);
        Assert.Equal(10.0, forecast.Quantile(4)[0]);
    }

    [Theory]
    [InlineData(0, 1.2)]
    [InlineData(1, 0.9)]
    [InlineData(1, double.NaN)]
    public void NonsenseIsRefused(double seconds, double headroom) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new MovingMaximumPredictor(TimeSpan.FromSeconds(seconds), headroom));
}
