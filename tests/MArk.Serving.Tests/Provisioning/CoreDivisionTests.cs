using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>Issue 3, feature 9: how the cores of a machine are divided among the models of a host.</summary>
public sealed class CoreDivisionTests
{
    private static CoreClaim Automatic(string name = "m", int? threads = null) => CoreClaim.OfAutomatic(name, threads);

    private static CoreClaim Fleet(int max, int threads = 1) => CoreClaim.OfFleet("fleet", [new LocalOffering { MaxInstances = max, Threads = threads }]);

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(3, 2, 1)]
    [InlineData(8, 7, 1)]
    [InlineData(9, 8, 1)]
    [InlineData(16, 7, 2)]
    [InlineData(64, 7, 8)]
    public void OneModelHasAllCoresButOneAsInstancesAndBeyondEightOfThemAsThreads(int cores, int instances, int threads)
    {
        var claim = Automatic();
        Assert.Equal((instances, threads), claim.On(CoreDivision.Divide(cores, [claim])[0]));
    }

    [Theory]
    [InlineData(1, new[] { 1, 0 })]
    [InlineData(2, new[] { 1, 1 })]
    [InlineData(3, new[] { 1, 1 })]
    [InlineData(8, new[] { 4, 3 })]
    [InlineData(9, new[] { 4, 4 })]
    public void TwoModelsHaveEqualSharesAndTheHostsCoreGoesLast(int cores, int[] expected) =>
        Assert.Equal(expected, CoreDivision.Divide(cores, [Automatic("a"), Automatic("b")]));

    [Theory]
    [InlineData(1, new[] { 1, 0, 0 })]
    [InlineData(2, new[] { 1, 1, 0 })]
    [InlineData(8, new[] { 3, 2, 2 })]
    public void ThreeModelsHaveEqualShares(int cores, int[] expected) =>
        Assert.Equal(expected, CoreDivision.Divide(cores, [Automatic("a"), Automatic("b"), Automatic("c")]));

    [Fact]
    public void WhatIsSetComesFirstWhereverItIsRegistered()
    {
        Assert.Equal([1, 6], CoreDivision.Divide(8, [Automatic(), CoreClaim.OfSet("set", 3, 2)]));
        Assert.Equal([6, 1], CoreDivision.Divide(8, [CoreClaim.OfSet("set", 3, 2), Automatic()]));
        Assert.Equal([0, 8], CoreDivision.Divide(8, [Automatic(), CoreClaim.OfSet("set", 16, 1)]));
    }

    [Fact]
    public void WhatAModelCannotUseIsThereForTheOthers()
    {
        Assert.Equal([4, 1, 2], CoreDivision.Divide(8, [Automatic(), CoreClaim.OfFunction("function", 1, 1), Fleet(2)]));
        Assert.Equal([7, 0], CoreDivision.Divide(8, [Automatic(), CoreClaim.OfFunction("waits", 64, 0)]));
    }

    [Fact]
    public void AFleetHasItsFirstInstanceBeforeModelsThatCanShare()
    {
        Assert.Equal([0, 1], CoreDivision.Divide(1, [Automatic(), Fleet(4)]));
        Assert.Equal([0, 6, 2], CoreDivision.Divide(8, [Automatic(), CoreClaim.OfSet("set", 8, 1), Fleet(4, threads: 2)]));
    }

    [Fact]
    public void StandInsAndOtherMachinesClaimNothing()
    {
        var standIns = CoreClaim.OfFleet("fleet", [new LocalOffering { MaxInstances = 8, DeviceTimeScale = 20 }]);
        Assert.Equal([7, 0, 0], CoreDivision.Divide(8, [Automatic(), standIns, CoreClaim.OfFleet("cloud", [])]));
    }

    [Theory]
    [InlineData(8, 4, 1)]
    [InlineData(16, 4, 3)]
    [InlineData(2, 4, 1)]
    [InlineData(64, 1, 8)]
    [InlineData(8, 0, 1)]
    public void ARunnerWithThreadsOfItsOwnHasFewerInstances(int cores, int threads, int instances)
    {
        var claim = Automatic(threads: threads);
        Assert.Equal((instances, threads), claim.On(CoreDivision.Divide(cores, [claim])[0]));
    }

    [Fact]
    public void NoMoreIsDividedThanThereIs()
    {
        var random = new Random(5);
        for (var run = 0; run < 2000; run++)
        {
            var cores = random.Next(1, 40);
            CoreClaim[] claims = [.. Enumerable.Range(0, random.Next(1, 7)).Select(i => random.Next(4) switch
            {
                0 => Automatic($"{i}", random.Next(2) == 0 ? null : random.Next(0, 5)),
                1 => CoreClaim.OfSet($"{i}", random.Next(1, 10), random.Next(0, 4)),
                2 => CoreClaim.OfFunction($"{i}", random.Next(1, 10), random.Next(0, 2)),
                _ => Fleet(random.Next(1, 10), random.Next(1, 3)),
            })];
            var granted = CoreDivision.Divide(cores, claims);
            Assert.True(granted.Sum() <= cores);
            Assert.All(granted.Zip(claims), g => Assert.InRange(g.First, 0, g.Second.Most));
            Assert.All(claims, c => Assert.True(c.Kind == CoreClaimKind.Fleet || c.On(0).Instances >= 1));

            // Where each has what it asks for at least, an automatic claim gets as much in whatever order they are registered, up to what is over.
            var other = CoreDivision.Divide(cores, [.. claims.Reverse()]).Reverse().ToArray();
            if (granted.Zip(claims).All(g => g.First >= g.Second.Least))
            {
                Assert.All(granted.Zip(other), g => Assert.InRange(g.First - g.Second, -1, 1));
            }
        }
    }
}
