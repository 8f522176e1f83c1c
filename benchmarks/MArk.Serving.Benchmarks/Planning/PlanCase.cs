using System.Collections.Immutable;

namespace MArk.Serving.Benchmarks.Planning;

/// <summary>A random provisioning problem, as a planner is given it. The same seed gives the same problem.</summary>
internal sealed record PlanCase(WorkloadForecast Forecast, OfferingState[] Offerings, double SpilloverPricePerRequest)
{
    private const double Unit = 10;             // requests/s of the smallest instance
    private const double UnitPrice = 0.1;       // US dollars per hour

    private static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    /// <summary>The forecast's nine points.</summary>
    private static readonly ImmutableArray<double> Levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

    public ProvisioningContext Context => new()
    {
        Now = DateTimeOffset.UnixEpoch,
        Forecast = Forecast,
        Offerings = Offerings,
        MinInstances = 0,
        MaxInstances = int.MaxValue,
        SpilloverPricePerRequest = SpilloverPricePerRequest,
        ServiceLevel = 0.99,
        MaxHourlySpend = null,
    };

    /// <summary>2 to 5 types, 5 to 15 steps, demand of 1 to 30 of the smallest instance, 0 to 3 running of each type.</summary>
    public static PlanCase Small(int seed)
    {
        var random = new Random(seed);
        var offerings = new OfferingState[random.Next(2, 6)];
        for (var k = 0; k < offerings.Length; k++)
        {
            offerings[k] = Offering(random, k, units: k == 0 ? 1 : Between(random, 1, 8), running: random.Next(4));
        }
        return new PlanCase(Walk(random, random.Next(5, 16), 1, 30), offerings, SpilloverPrice(random));
    }

    /// <summary>40 types, 500 running, 60 steps; the demand moves between half of what runs and half as much again.</summary>
    public static PlanCase Large(int seed)
    {
        const int Types = 40;
        const int Running = 500;
        var random = new Random(seed);
        var running = new int[Types];
        for (var i = 0; i < Running; i++)
        {
            running[random.Next(Types)]++;
        }
        var offerings = new OfferingState[Types];
        for (var k = 0; k < Types; k++)
        {
            offerings[k] = Offering(random, k, units: k == 0 ? 1 : Between(random, 1, 8), running[k]);
        }
        var units = offerings.Sum(o => o.Capacity * o.Ready) / Unit;
        return new PlanCase(Walk(random, 60, 0.5 * units, 1.5 * units), offerings, SpilloverPrice(random));
    }

    private static OfferingState Offering(Random random, int index, double units, int running)
    {
        var launchDelay = random.Next(5) * Step;
        var offering = new InstanceOffering
        {
            Name = $"type-{index}",
            PricePerHour = (decimal)(units * UnitPrice * Between(random, 0.7, 1.4)),
            LaunchDelay = launchDelay,
            MinimumBilling = random.Next(9) * Step,
        };
        return new OfferingState(offering, units * Unit, running, 0, launchDelay);
    }

    /// <summary>1.2 to 8 times what the smallest instance costs a request at full load.</summary>
    private static double SpilloverPrice(Random random) => UnitPrice / 3600 / Unit * Between(random, 1.2, 8);

    /// <summary>A walk of the median between two demands, in smallest instances, with a lognormal spread around it.</summary>
    private static WorkloadForecast Walk(Random random, int steps, double low, double high)
    {
        double[] normal = [-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816];
        var forecast = new WorkloadForecast(steps, Step, Levels);
        var median = Between(random, low, high);
        var stride = (high - low) * Between(random, 0.05, 0.4);
        var sigma = Between(random, 0.02, 0.4);
        for (var t = 0; t < steps; t++)
        {
            for (var i = 0; i < normal.Length; i++)
            {
                forecast.Quantile(i)[t] = Unit * Math.Clamp(median * Math.Exp(sigma * normal[i]), low, high);
            }
            forecast.Mean[t] = Enumerable.Range(0, normal.Length).Average(i => forecast.Quantile(i)[t]);
            forecast.Peak[t] = forecast.Quantile(normal.Length - 1)[t];
            median = Math.Clamp(median + Between(random, -stride, stride), low, high);
        }
        return forecast;
    }

    private static double Between(Random random, double low, double high) => low + (high - low) * random.NextDouble();
}
