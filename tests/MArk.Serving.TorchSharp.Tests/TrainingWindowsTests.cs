using CsCheck;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>What is trained on.</summary>
public sealed class TrainingWindowsTests
{
    private static readonly LstmShape Shape = new(TimeSpan.TicksPerMinute, 4, Window: 5, Horizon: 3);

    [Fact]
    public void EveryPlaceIsOneAndTheNewestTenthIsHeldOutWithNothingInCommon()
    {
        // 100 rates are 99 changes: 92 places of 8.
        var windows = TrainingWindows.Of([.. Enumerable.Range(0, 100).Select(i => (double)(i % 7))], Shape)!;
        Assert.Equal(Enumerable.Range(83, 9), windows.HeldOut);
        // The last of those trained on is 3 before: its horizon ends where the first that is held out begins.
        Assert.Equal(Enumerable.Range(0, 81), windows.Training);
    }

    [Fact]
    public void ChangesLieBetweenMinusOneAndOneAndBackAgain()
    {
        var rates = Enumerable.Range(0, 100).Select(i => 10 + 3.0 * i + 5 * Math.Sin(i)).ToArray();
        var windows = TrainingWindows.Of(rates, Shape)!;
        var (shown, wanted) = windows.Batch([10, 40]);
        for (var i = 0; i < 2; i++)
        {
            var at = i == 0 ? 10 : 40;
            for (var k = 0; k < 8; k++)
            {
                var change = k < 5 ? shown[k * 2 + i] : wanted[i * 3 + k - 5];
                Assert.Equal(rates[at + k + 1] - rates[at + k], change * windows.Scale + windows.Centre, 4);
            }
        }
        var (all, _) = windows.Batch(windows.Training);
        Assert.All(all, change => Assert.InRange(change, -1.0001, 1.0001));
        Assert.True(all.Max() > 0.9 && all.Min() < -0.9);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    public void ChangesThatAreAllTheSameAreNotScaled(double slope)
    {
        var windows = TrainingWindows.Of([.. Enumerable.Range(0, 100).Select(i => 7 + slope * i)], Shape)!;
        Assert.Equal(1, windows.Scale);
        Assert.Equal(slope, windows.Centre, 9);
    }

    [Fact]
    public void ChangesAsLargeAsThereAreAreScaled()
    {
        var windows = TrainingWindows.Of([.. Enumerable.Range(0, 100).Select(i => i % 3 == 0 ? double.MaxValue : 0)], Shape)!;
        Assert.Equal((0, double.MaxValue), (windows.Centre, windows.Scale));
        var (shown, wanted) = windows.Batch(windows.Training);
        Assert.All(shown.Concat(wanted), change => Assert.InRange(change, -1, 1));
    }

    [Fact]
    public void NoWindowReachesOverAGap() =>
        Gen.Select(Gen.Int[60, 300], Gen.Int[1, 40].Array[0, 8]).Sample((length, gaps) =>
        {
            var rates = Enumerable.Range(0, length).Select(i => (double)(i * i % 23)).ToArray();
            var at = 0;
            foreach (var gap in gaps)
            {
                at += gap;
                if (at < length)
                {
                    rates[at] = double.NaN;
                }
            }
            var places = Enumerable.Range(0, Math.Max(0, length - 8)).Where(i => !rates.AsSpan(i, 9).Contains(double.NaN)).ToArray();
            var windows = TrainingWindows.Of(rates, Shape);
            if (windows is null)
            {
                var first = places.Length - Math.Max(1, places.Length / 10);
                Assert.True(places.Length == 0 || places.Count(place => place <= places[first] - 3) < TrainingWindows.Fewest);
                return;
            }
            Assert.Subset(places.ToHashSet(), windows.Training.Concat(windows.HeldOut).ToHashSet());
            Assert.Equal(places.TakeLast(windows.HeldOut.Length), windows.HeldOut);
            Assert.True(windows.Training[^1] + 3 <= windows.HeldOut[0]);
            var (shown, wanted) = windows.Batch(windows.Training);
            Assert.DoesNotContain(shown.Concat(wanted), float.IsNaN);
        });
}
