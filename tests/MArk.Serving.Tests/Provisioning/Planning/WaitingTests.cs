using CsCheck;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Tests.Provisioning.Planning;

public sealed class WaitingTests
{
    [Theory]
    [InlineData(1, 1, 0.5)]
    [InlineData(10, 8, 0.12166)]
    [InlineData(50, 40, 0.01870)]
    public void WithoutPatienceTheLossIsErlangsB(double servers, double load, double expected)
    {
        Assert.Equal(expected, WaitingLoss.ErlangB(servers, load), 4);
        Assert.Equal(expected, WaitingLoss.Share(servers, load, 0), 4);
    }

    [Fact]
    public void WithAllThePatienceOnlyTheOverloadIsLost()
    {
        Assert.Equal(0.2, WaitingLoss.Share(8, 10, 1e6), 6);
        Assert.Equal(0, WaitingLoss.Share(10, 8, 1e6), 6);
        Assert.Equal(1, WaitingLoss.Share(0, 8, 3), 6);
    }

    [Fact]
    public void TheLossFallsWithServersAndWithPatienceAndIsAtLeastTheOverload() =>
        Gen.Select(Gen.Double[0, 60], Gen.Double[0.01, 60], Gen.Double[0, 40]).Sample((servers, load, patience) =>
        {
            var share = WaitingLoss.Share(servers, load, patience);
            Assert.InRange(share, Math.Max(0, (load - servers) / load) - 1e-9, 1);
            Assert.True(WaitingLoss.Share(servers + 0.3, load, patience) <= share + 1e-9);
            Assert.True(WaitingLoss.Share(servers, load, patience + 0.5) <= share + 1e-9);
        });

    [Fact]
    public void TheEffectiveDemandHasTheRateAsItsMeanAndOverflowsByTheLoss() =>
        Gen.Select(Gen.Double[0.1, 150], Gen.Int[1, 32], Gen.Double[0.1, 3], Gen.Double[0.5, 1.5]).Sample((load, batch, slack, relative) =>
        {
            const double Capacity = 50;
            var service = new ServicePoint(batch, TimeSpan.FromSeconds(batch / Capacity), TimeSpan.FromSeconds(slack * batch / Capacity));
            var points = new double[EffectiveDemand.Probability.Length];
            new EffectiveDemand(service).Spread(load * Capacity, points);
            double mean = 0, missed = 0;
            for (var j = 0; j < points.Length; j++)
            {
                mean += EffectiveDemand.Probability[j] * points[j];
                missed += EffectiveDemand.Probability[j] * Math.Max(0, points[j] - relative * load * Capacity);
            }
            Assert.Equal(load * Capacity, mean, 0.02 * load * Capacity);
            // Four points stand for a curve.
            var expected = load * Capacity * WaitingLoss.Share(relative * load, load, 2 * batch * slack);
            Assert.Equal(expected, missed, 0.07 * load * Capacity);
        });

    [Fact]
    public void MissesUpToTheAllowedShareCostNothingAndThoseBeyondItAll()
    {
        double[] demand = [100, 200, 300, 400];
        double[] probability = [0.25, 0.25, 0.25, 0.25];
        // Mean 250; a tenth of it, 25, is missed at a capacity of 300.
        MissAllowance.Grant(demand, probability, 0.1);
        Assert.Equal([100, 200, 300, 300], demand.Select(d => Math.Round(d, 6)));
        // At 250: 0.25 x 50 + 0.25 x 150 = 50 were missed, 25 more than allowed.
        Assert.Equal(25, 0.25 * demand.Sum(d => Math.Max(0, d - 250)), 6);
    }
}
