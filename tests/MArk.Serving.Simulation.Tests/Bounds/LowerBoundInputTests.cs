using static MArk.Serving.Simulation.Tests.BoundReference;

namespace MArk.Serving.Simulation.Tests;

public sealed class LowerBoundInputTests
{
    private static readonly LowerBoundProblem Good = Problem([10, 20], 0.9, Offering("a", 60, 10), Offering("b", 30, 5));

    private static void AssertRefused(string input, string expected, LowerBoundProblem problem)
    {
        var error = Assert.Throws<LowerBoundProblemException>(() => Solve(problem));
        Assert.Equal(input, error.Input);
        Assert.StartsWith($"{input}: ", error.Message);
        Assert.Contains(expected, error.Message);
        Assert.Contains("accepted", error.Message);
    }

    [Theory]
    [InlineData(new double[0], "there are 0 steps; accepted are 1 to 100000")]
    [InlineData(new[] { 1, -1.0 }, "step 1 has -1; accepted is 0 to 1000000000000")]
    [InlineData(new[] { double.NaN }, "step 0 has NaN")]
    [InlineData(new[] { double.PositiveInfinity }, "step 0 has Infinity")]
    [InlineData(new[] { 1e13 }, "step 0 has 10000000000000")]
    public void BadRequestsAreNamed(double[] requests, string expected) => AssertRefused("Requests", expected, Good with { Requests = requests });

    [Theory]
    [InlineData(0)]
    [InlineData(-0.5)]
    [InlineData(1.001)]
    [InlineData(double.NaN)]
    public void ABadServiceLevelIsNamed(double level) =>
        AssertRefused("ServiceLevel", FormattableString.Invariant($"{level}; accepted is more than 0 and at most 1"), Good with { ServiceLevel = level });

    [Fact]
    public void BadStepsAndPricesAreNamed()
    {
        AssertRefused("Step", "00:00:00; accepted is more than 00:00:00", Good with { Step = TimeSpan.Zero });
        AssertRefused("Step", "-00:01:00; accepted is more than 00:00:00", Good with { Step = -Minute });
        AssertRefused("Step", "at most 1.00:00:00", Good with { Step = TimeSpan.MaxValue });
        AssertRefused("SpilloverPricePerRequest", "-0.1 dollars; accepted is 0 to 1000000", Good with { SpilloverPricePerRequest = -0.1m });
    }

    public static TheoryData<string, BoundOffering?[]> BadOfferings => new()
    {
        { "there are none", [] },
        { "one is missing or has no name", [null] },
        { "one is missing or has no name", [Offering("", 1, 1)] },
        { "'a' is there twice", [Offering("a", 1, 1), Offering("a", 2, 2)] },
        { "'a' costs -1 dollars an hour; accepted is 0 to 1000000", [Offering("a", -1, 1)] },
        { "'a' serves NaN requests/s; accepted is 0 to", [Offering("a", 1, double.NaN)] },
        { "'a' serves -1 requests/s", [Offering("a", 1, -60)] },
        { "'a' serves Infinity requests/s", [Offering("a", 1, double.PositiveInfinity)] },
        { "'a' has a billed launch of -00:01:00; accepted is 00:00:00 to 365.00:00:00", [Offering("a", 1, 1, launchMinutes: -1)] },
        { "'a' has a minimum billing of -00:01:00; accepted is 00:00:00 to 365.00:00:00", [Offering("a", 1, 1, minimumMinutes: -1)] },
        { "'a' has at most -1 machines; accepted is 0 or more", [Offering("a", 1, 1, max: -1)] },
        { "'a', 'b' serve nothing; accepted is at least one with a throughput of more than 0", [Offering("a", 1, 0), Offering("b", 1, 1, max: 0)] },
    };

    [Theory]
    [MemberData(nameof(BadOfferings), DisableDiscoveryEnumeration = true)]
    public void BadOfferingsAreNamed(string expected, BoundOffering?[] offerings) => AssertRefused("Offerings", expected, Good with { Offerings = offerings! });

    [Fact]
    public void ABadFleetOfTheStartIsNamed()
    {
        AssertRefused("Initial", "there are 1 numbers; accepted is one for each of the 2 offerings", Good with { Initial = [1] });
        AssertRefused("Initial", "-1 of 'b'; accepted is 0 to its maximum", Good with { Initial = [1, -1] });
        AssertRefused("Initial", "3 of 'a'; accepted is 0 to its maximum, 2", Good with { Offerings = [Offering("a", 60, 10, max: 2), Good.Offerings[1]], Initial = [3, 0] });
    }

    [Fact]
    public void ADemandThatAllMachinesCannotServeIsNamed()
    {
        // 15 requests a minute: 5 of 30 are left in the second, and 3 may be.
        var problem = Good with { Offerings = [Offering("a", 60, 10, max: 1), Offering("b", 30, 5, max: 1)] };
        AssertRefused("Offerings", "all their machines serve 0.25 requests/s, which leaves 5 requests of 30; accepted are at most 3", problem with { ServiceLevel = 0.9 });
        // Within the service level, and where the rest is spilled, it can be had.
        Assert.Equal(5, Solve(problem with { ServiceLevel = 25.0 / 30 }).Missed, 4);
        Assert.Equal(2, Solve(problem with { SpilloverPricePerRequest = 100 }).Spilled, 4);
    }

    [Fact]
    public void WhatIsNoProblemIsRefused()
    {
        Assert.Throws<ArgumentNullException>(() => Solve(null!));
        AssertRefused("Requests", "there are 0 steps", Good with { Requests = null! });
        AssertRefused("Offerings", "there are none", Good with { Offerings = null! });
        Assert.Throws<ArgumentOutOfRangeException>(() => LowerBound.Solve(Good, TimeSpan.Zero));
        Assert.Throws<OperationCanceledException>(() => LowerBound.Solve(Good, Minute, cancellationToken: new CancellationToken(canceled: true)));
    }
}
