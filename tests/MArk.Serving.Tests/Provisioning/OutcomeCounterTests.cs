using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class OutcomeCounterTests
{
    private static TimeSpan S(double seconds) => TimeSpan.FromSeconds(seconds);

    [Fact]
    public void ASlotIsToldOnceAllOfItMustHaveBeenAnsweredAndWhatStillWaitsHasMissed()
    {
        var counter = new OutcomeCounter(S(5), S(1), FleetWorld.Start, S(5));
        for (var i = 0; i < 10; i++)
        {
            counter.Offer(S(5 + 0.4 * i), S(6 + 0.4 * i));
        }
        counter.Keep(S(5), S(6));
        counter.Keep(S(8.6), S(9.6));
        counter.TakeBack(S(5.4), S(6.4));
        Assert.False(counter.TryTakeFinished(S(11.999), out _));
        Assert.True(counter.TryTakeFinished(S(12), out var sample));
        Assert.Equal(new OutcomeSample(FleetWorld.Start.AddSeconds(5), S(5), 9, 2), sample);
        Assert.False(counter.TryTakeFinished(S(12), out _));
        // Too late to be heard.
        counter.Keep(S(5), S(6));
        Assert.True(counter.TryTakeFinished(S(100), out sample));
        Assert.Equal(new OutcomeSample(FleetWorld.Start.AddSeconds(10), S(5), 0, 0), sample);
    }

    [Fact]
    public void RequestsThatHaveLongerThanTheObjectiveAreNotWatched()
    {
        var counter = new OutcomeCounter(S(5), S(1), FleetWorld.Start, S(5));
        counter.Offer(S(5), S(6.001));
        counter.Offer(S(5), S(5.5));
        Assert.True(counter.TryTakeFinished(S(12), out var sample));
        Assert.Equal(1, sample.Offered);
    }

    [Fact]
    public void ARequestThatIsHeardOfAfterItsDeadlineHasMissed()
    {
        var counter = new OutcomeCounter(S(5), S(1), FleetWorld.Start, S(5));
        Assert.True(counter.TryTakeFinished(S(12), out _));
        counter.Offer(S(9), S(10));
        Assert.True(counter.TryTakeFinished(S(17), out var sample));
        Assert.Equal((1L, 0L), (sample.Offered, sample.InTime));
    }

    [Fact]
    public void SlotsThatNobodyTakesForLongAreKept()
    {
        var counter = new OutcomeCounter(S(5), S(1), FleetWorld.Start, S(5));
        counter.Offer(S(5), S(6));
        counter.Offer(S(500), S(501));
        var offered = new List<long>();
        while (counter.TryTakeFinished(S(507), out var sample))
        {
            offered.Add(sample.Offered);
        }
        Assert.Equal((100, 1L, 1L, 2L), (offered.Count, offered[0], offered[^1], offered.Sum()));
    }

    [Fact]
    public void AnObjectiveOfADayTakesLongerSlots()
    {
        var counter = new OutcomeCounter(S(0.01), TimeSpan.FromDays(1), FleetWorld.Start, TimeSpan.FromHours(3));
        counter.Offer(TimeSpan.FromHours(3), TimeSpan.FromHours(4));
        Assert.True(counter.TryTakeFinished(TimeSpan.FromDays(3), out var sample));
        Assert.Equal((TimeSpan.FromHours(3), 1L), (sample.Length, sample.Offered));
    }
}
