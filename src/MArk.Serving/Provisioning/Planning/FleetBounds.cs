namespace MArk.Serving.Provisioning.Planning;

/// <summary>Bounds that contradict each other: a maximum or a budget goes before a minimum.</summary>
internal static class FleetBounds
{
    /// <summary>The minimum, or as much of it as the other bounds leave room for.</summary>
    public static int Attainable(int min, int max, decimal? maxHourlySpend, ReadOnlySpan<OfferingState> offerings, ReadOnlySpan<int> usable)
    {
        var byPrice = new InstanceOffering[usable.Length];
        for (var i = 0; i < byPrice.Length; i++)
        {
            byPrice[i] = offerings[usable[i]].Offering;
        }
        Array.Sort(byPrice, (a, b) => a.PricePerHour.CompareTo(b.PricePerHour));
        var (count, left) = (0, maxHourlySpend);
        foreach (var offering in byPrice)
        {
            var more = Math.Min(offering.MaxInstances, Math.Min(min, max) - count);
            if (left is { } dollars && offering.PricePerHour > 0)
            {
                more = (int)Math.Min(more, dollars / offering.PricePerHour);
                left = dollars - more * offering.PricePerHour;
            }
            count += more;
        }
        return count;
    }
}
