using System.Globalization;
using MArk.Serving.Aws.Prices;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Ec2;

/// <summary>What can be launched, as the planner sees it, with prices: of the offering, else of the market, else of the bundled list.</summary>
internal static class Ec2Offerings
{
    private const double HoursPerMonth = 730;
    private static readonly TimeSpan PricesSince = TimeSpan.FromHours(1);

    /// <param name="offerings">The offerings.</param>
    /// <param name="spot">What a spot machine of a type costs now; nothing where that was not looked up.</param>
    public static IReadOnlyList<InstanceOffering> Of(IReadOnlyList<Ec2Offering> offerings, IReadOnlyDictionary<string, decimal>? spot = null) =>
    [
        .. offerings.Select(offering =>
        {
            var isSpot = offering.Market == InstanceMarket.Spot;
            var onDemand = Dearest(offering, type => Ec2PriceList.Find(type)?.OnDemand);
            var price = offering.PricePerHour ?? (isSpot ? Dearest(offering, type => SpotPrice(type, spot)) ?? onDemand : onDemand) ?? 0;
            return new InstanceOffering
            {
                Name = offering.Name,
                Market = offering.Market,
                PricePerHour = price,
                OnDemandPricePerHour = isSpot ? onDemand : null,
                LaunchDelay = offering.LaunchDelay,
                MinimumBilling = offering.MinimumBilling,
                InterruptionsPerHour = !isSpot ? 0 : offering.InterruptionsPerHour ?? offering.InstanceTypes.Max(type => Ec2PriceList.Find(type)?.InterruptionsPerMonth ?? 0) / HoursPerMonth,
                StoppedPricePerHour = offering.StoppedPricePerHour,
                ResumeDelay = offering.Market == InstanceMarket.Standby ? offering.ResumeDelay : TimeSpan.Zero,
                MaxInstances = offering.MaxInstances,
                DeviceTimeScale = offering.DeviceTimeScale,
            };
        }),
    ];

    /// <summary>What spot machines of the offerings' types cost now, in the zone where they are cheapest; nothing where that cannot be looked up, which is said.</summary>
    public static async Task<IReadOnlyDictionary<string, decimal>?> LookUpAsync(Ec2Api api, IEnumerable<Ec2Offering> offerings, DateTimeOffset now, ILogger logger, CancellationToken cancellationToken)
    {
        var types = offerings.Where(o => o is { Market: InstanceMarket.Spot, PricePerHour: null }).SelectMany(o => o.InstanceTypes).ToHashSet();
        if (types.Count == 0)
        {
            return null;
        }
        try
        {
            var prices = await api.DescribeSpotPricesAsync(types, now - PricesSince, cancellationToken).ConfigureAwait(false);
            return prices.Select(p => (Type: p.InstanceType?.Value, p.AvailabilityZone, p.Timestamp, Price: Dollars(p.Price)))
                .Where(p => p is { Type: not null, Price: not null })
                .GroupBy(p => (Type: p.Type!, p.AvailabilityZone))
                .Select(zone => (zone.Key.Type, Latest: zone.MaxBy(p => p.Timestamp ?? DateTime.MinValue).Price!.Value))
                .GroupBy(p => p.Type)
                .ToDictionary(type => type.Key, type => type.Min(p => p.Latest));
        }
        catch (AwsRequestException e)
        {
            AwsLog.NoSpotPrices(logger, Ec2PriceList.Date, e);
            return null;
        }
    }

    private static decimal? Dollars(string? price) => decimal.TryParse(price, NumberStyles.Number, CultureInfo.InvariantCulture, out var dollars) ? dollars : null;

    private static decimal? SpotPrice(string type, IReadOnlyDictionary<string, decimal>? spot) =>
        spot is not null && spot.TryGetValue(type, out var price) ? price : Ec2PriceList.Find(type)?.Spot;

    /// <summary>Which of the types is launched is not known beforehand: the plan is to hold for any.</summary>
    private static decimal? Dearest(Ec2Offering offering, Func<string, decimal?> priceOf) => offering.InstanceTypes.Max(priceOf);
}
