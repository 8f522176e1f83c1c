using CsCheck;
using MArk.Serving.Simulation.Reporting;

namespace MArk.Serving.Simulation.Tests.Reporting;

public sealed class TickMarksTests
{
    private static readonly Gen<double> Sizes = Gen.Double[-6, 9].Select(e => Math.Pow(10, e));

    [Fact]
    public void AnAxisFromZeroHoldsItsHighestValueInFewRoundSteps() =>
        Gen.Select(Sizes, Gen.Int[2, 12]).Sample((highest, most) =>
        {
            var axis = TickMarks.FromZero(highest, most);
            Assert.True(axis.Highest >= highest * (1 - 1e-9) && axis.Highest < highest * 2.6, $"{axis.Highest} for {highest}");
            Assert.InRange(axis.Major.Count, 2, most + 1);
            Assert.Equal(axis.Highest, axis.Major[^1].Position, axis.Highest * 1e-9);
        });

    [Fact]
    public void AnAxisOfNothingIsStillAnAxis() => Assert.Equal(1, TickMarks.FromZero(0, 5).Highest);

    [Theory]
    [InlineData(0.4, "seconds")]
    [InlineData(60, "seconds")]
    [InlineData(600, "minutes")]
    [InlineData(86_400, "hours")]
    [InlineData(86_400 * 14, "days")]
    [InlineData(86_400 * 900, "days")]
    public void TimeHasTheUnitThatSuitsIt(double seconds, string unit)
    {
        var time = TickMarks.Time(TimeSpan.FromSeconds(seconds), 12);
        Assert.Equal(unit, time.Unit);
        Assert.Equal(seconds, time.Axis.Highest * time.Seconds, seconds * 1e-9);
        Assert.InRange(time.Axis.Major.Count, 4, 13);
        Assert.Equal(time.Axis.Major.Count, time.Axis.Major.Select(m => m.Label).Distinct().Count());
    }

    [Fact]
    public void ADayIsMarkedEveryTwoHours() =>
        Assert.Equal(["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "20", "22", "24"], TickMarks.Time(TimeSpan.FromDays(1), 12).Axis.Major.Select(m => m.Label));

    [Fact]
    public void ALogarithmicAxisHasLabelsInItsRange() =>
        Gen.Select(Gen.Double[-3, 4], Gen.Double[0.2, 7]).Sample((low, span) =>
        {
            var axis = TickMarks.Logarithmic(Math.Pow(10, low), Math.Pow(10, low + span), v => $"{v}");
            Assert.NotEmpty(axis.Major);
            Assert.All(axis.Major, m => Assert.InRange(m.Position, low - 1e-6, low + span + 1e-6));
            Assert.All(axis.Minor, m => Assert.DoesNotContain(axis.Major, p => Math.Abs(p.Position - m) < 1e-9));
        });

    [Fact]
    public void LabelsOfALogarithmicAxisAreItsValues() =>
        Assert.Equal(["10", "20", "50", "100", "200"], TickMarks.Logarithmic(10, 250, v => v.ToString("0.##", System.Globalization.CultureInfo.InvariantCulture)).Major.Select(m => m.Label));
}
