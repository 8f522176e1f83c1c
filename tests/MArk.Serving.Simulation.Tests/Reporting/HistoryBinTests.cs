using CsCheck;
using MArk.Serving.Simulation.Reporting;

namespace MArk.Serving.Simulation.Tests.Reporting;

public sealed class HistoryBinTests
{
    [Fact]
    public void BinsHoldWhatTheirStepsHeld() =>
        Gen.Select(Gen.Int[1, 2000], Gen.Int[1, 500]).Sample((steps, most) =>
        {
            var history = StudyInputs.Result(steps: steps, seed: steps).History;
            var bins = HistoryBin.Of(history, most);
            Assert.InRange(bins.Count, 1, most);
            Assert.Equal(TimeSpan.Zero, bins[0].Start);
            Assert.Equal(history[^1].Start + history[^1].Length, bins[^1].End);
            Assert.All(bins.Skip(1).Zip(bins), p => Assert.Equal(p.Second.End, p.First.Start));
            Assert.Equal(history.Sum(s => s.Arrivals), bins.Sum(b => b.MeanLoad * (b.End - b.Start).TotalSeconds), 1e-3);
            for (var offering = 0; offering < 2; offering++)
            {
                Assert.Equal(history.Sum(s => s.Capacity[offering] * s.Length.TotalSeconds), bins.Sum(b => b.Capacity[offering] * (b.End - b.Start).TotalSeconds), 1e-3);
            }
            Assert.All(bins, b => Assert.InRange(b.MeanLoad, b.Load.Lowest - 1e-9, b.Load.Highest + 1e-9));
            Assert.Equal(history.Max(s => s.Arrivals / 60.0), bins.Max(b => b.Load.Highest));
            Assert.Equal(history.Max(s => s.Forecast?.High), bins.Max(b => b.Forecast?.High));
            Assert.Equal(history[^1].InstanceCost, bins[^1].InstanceCost);
        }, iter: 60);

    [Fact]
    public void AFewStepsStayAsTheyAre()
    {
        var history = StudyInputs.Result(steps: 12).History;
        var bins = HistoryBin.Of(history, 480);
        Assert.Equal(history.Select(s => s.Start), bins.Select(b => b.Start));
        Assert.Equal(history.Select(s => s.Forecast), bins.Select(b => b.Forecast));
    }
}
