using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class TargetConcurrencyTests
{
    private static readonly LatencyProfile Profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(0.5), 32);

    [Theory]
    [InlineData(50, 32, 0.7 * 32)]
    [InlineData(50, 8, 0.7 * 8)]
    [InlineData(15, 32, 0.7 * 20)]
    [InlineData(50, 1, 0.7)]
    public void ItIsSevenTenthsOfTheLargestBatchThatEndsWithinTheObjective(double sloMs, int maxBatch, double expected) =>
        Assert.Equal(expected, TargetConcurrency.Within(Profile, TimeSpan.FromMilliseconds(sloMs), maxBatch), 9);

    [Fact]
    public void AProfileThatCannotMeetTheObjectiveIsRefused() => Assert.Contains(
        "A lone request takes up to 5.5 ms, more than the objective of 5 ms", Assert.Throws<ArgumentException>(() => TargetConcurrency.Within(Profile, TimeSpan.FromMilliseconds(5), 32)).Message);

    [Theory]
    [InlineData(0)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void ATargetThatIsNoneIsRefused(double target)
    {
        Assert.Equal("targetConcurrency", Assert.Throws<ArgumentOutOfRangeException>(() => new KnativePodAutoscalerPlanner("kind", target)).ParamName);
        Assert.Equal("targetOngoingRequests", Assert.Throws<ArgumentOutOfRangeException>(() => new RayServePlanner("kind", target)).ParamName);
    }
}
