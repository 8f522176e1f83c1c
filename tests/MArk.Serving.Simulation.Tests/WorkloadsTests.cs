namespace MArk.Serving.Simulation.Tests;

public sealed class WorkloadsTests
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private static double MeanRate(ArrivalTrace trace) => trace.Total / trace.Duration.TotalSeconds;

    [Fact]
    public void ADayGoesFromValleyToPeakAndBack()
    {
        var trace = Workloads.Diurnal(Day, 100, peakOverValley: 4, noise: 0, seed: 1);
        Assert.Equal(86_400, trace.Counts.Count);
        Assert.Equal(100, MeanRate(trace), 6);
        Assert.Equal(4, trace.Counts.Max() / trace.Counts.Min(), 6);
        Assert.Equal(trace.Counts.Min(), trace.Counts[0]);
        Assert.Equal(trace.Counts.Max(), trace.Counts[43_200]);
    }

    [Fact]
    public void ItsNoiseIsOfTheGivenDeviationAndLastsForMinutes()
    {
        var calm = Workloads.Diurnal(10 * Day, 100, 1, noise: 0, seed: 1);
        var trace = Workloads.Diurnal(10 * Day, 100, 1, noise: 0.05, seed: 1);
        double[] logarithms = [.. Enumerable.Range(0, 14_400).Select(minute => Math.Log(trace.Counts[60 * minute] / calm.Counts[60 * minute]))];
        Assert.InRange(Math.Sqrt(logarithms.Average(x => x * x)), 0.045, 0.055);
        Assert.InRange(logarithms.Zip(logarithms.Skip(1), (a, b) => a * b).Average() / logarithms.Average(x => x * x), 0.93, 0.97);
        Assert.Equal(trace.Counts[60], trace.Counts[119]);
        Assert.Equal(trace.Counts, Workloads.Diurnal(10 * Day, 100, 1, 0.05, seed: 1).Counts);
        Assert.NotEqual(trace.Counts, Workloads.Diurnal(10 * Day, 100, 1, 0.05, seed: 2).Counts);
    }

    [Fact]
    public void RatesTakeTurnsEachForItsDwellOnAverage()
    {
        var trace = Workloads.Mmpp(20 * Day, [10, 20], [TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(10)], seed: 1);
        Assert.Equal([10, 20], trace.Counts.Distinct());
        Assert.InRange((double)trace.Counts.Count(c => c == 10) / trace.Counts.Count, 0.63, 0.70);
        Assert.InRange(trace.Counts.Zip(trace.Counts.Skip(1)).Count(pair => pair.First != pair.Second), 1600, 2250);
    }

    [Fact]
    public void ACrowdComesQuicklyAndGoesSlowly()
    {
        var trace = Workloads.FlashCrowd(TimeSpan.FromHours(2), 10, times: 5, at: TimeSpan.FromMinutes(30));
        Assert.Equal((10, 30, 50, 50), (trace.Counts[1799], Math.Round(trace.Counts[1860]), Math.Round(trace.Counts[1920]), Math.Round(trace.Counts[2520])));
        Assert.Equal(10 + 40 / 3.0, trace.Counts[2520 + 1800], 6);
    }

    [Fact]
    public void ASurgeIsAStep() => Assert.Equal([2, 2, 3, 3], Workloads.Surge(TimeSpan.FromSeconds(4), 2, 1.5, TimeSpan.FromSeconds(2)).Counts);

    [Fact]
    public void EvenArrivalsComeAtTheSameGaps() => Assert.Equal(
        [0.25, 0.5, 0.75], Workloads.Constant(TimeSpan.FromSeconds(1), 4).EvenArrivals().Select(at => at.TotalSeconds));

    [Fact]
    public void AScaledTraceKeepsItsGaps()
    {
        var trace = ArrivalTrace.Read(new StringReader("offset_s,count\n0,2\n1,4\n3,6\n"), "t").Scale(0.5);
        Assert.Equal([1, 2, 0, 3], trace.Counts);
        Assert.Equal([false, false, true, false], Enumerable.Range(0, 4).Select(trace.IsGap));
        Assert.Throws<ArgumentOutOfRangeException>(() => trace.Scale(0));
        var first = trace.First(TimeSpan.FromSeconds(2.5));
        Assert.Equal([1, 2, 0], first.Counts);
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(first.IsGap));
        Assert.Equal(trace.Counts, trace.First(TimeSpan.FromDays(1)).Counts);
        Assert.Throws<ArgumentOutOfRangeException>(() => trace.First(TimeSpan.Zero));
    }

    [Fact]
    public void BadRecipesAreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Workloads.Constant(TimeSpan.Zero, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Workloads.Constant(Day, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Workloads.Diurnal(Day, 1, 0.5, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Workloads.Diurnal(Day, 1, 2, double.NaN, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Workloads.FlashCrowd(Day, 1, double.NaN, Day));
        Assert.Contains("1 rates and 2 mean dwells", Assert.Throws<ArgumentException>(() => Workloads.Mmpp(Day, [1], [Day, Day], 1)).Message);
    }
}
