namespace MArk.Serving.Tests.Prediction;

public sealed class WorkloadForecastTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(WorkloadForecast.MaxHorizon + 1)]
    public void AHorizonOutsideItsRangeIsRefusedByNameAndValue(int horizon)
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => new WorkloadForecast(horizon, Minute));
        Assert.Equal(("horizon", (object)horizon), (error.ParamName, error.ActualValue));
        Assert.Contains("1 to 1440", error.Message);
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(1.0)]
    [InlineData(0.5)]
    [InlineData(double.NaN)]
    public void LevelsThatDoNotAscendBetweenZeroAndOneAreRefused(double second)
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => new WorkloadForecast(1, Minute, [0.5, second]));
        Assert.Equal(("levels", (object)second), (error.ParamName, error.ActualValue));
    }

    [Fact]
    public void ARefusedSampleIsNamedWithItsValues()
    {
        var sample = new ArrivalSample(new DateTimeOffset(2026, 1, 1, 12, 0, 5, TimeSpan.Zero), TimeSpan.FromSeconds(5), -3);
        var error = new InvalidArrivalSampleException(sample, "a count is at least 0.");
        Assert.Equal(sample, error.Sample);
        Assert.Equal("The sample of 2026-01-01 12:00:05Z, 5 s long, -3 requests: a count is at least 0.", error.Message);
    }
}
