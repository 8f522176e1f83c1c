namespace MArk.Serving.Provisioning;

/// <summary>The offerings that can keep a model's objective.</summary>
internal static class UsableOfferings
{
    /// <summary>Their indices.</summary>
    /// <exception cref="NoUsableOfferingException">There is none; names each offering.</exception>
    public static int[] Of(ReadOnlySpan<OfferingState> offerings)
    {
        var usable = new List<int>();
        var names = new List<string>();
        for (var i = 0; i < offerings.Length; i++)
        {
            names.Add(offerings[i].Offering.Name);
            if (offerings[i].Capacity > 0)
            {
                usable.Add(i);
            }
        }
        return usable.Count > 0 ? [.. usable] : throw new NoUsableOfferingException(names);
    }
}
