namespace MArk.Serving.Provisioning;

/// <summary>Divides cores among the models of a host.</summary>
internal static class CoreDivision
{
    /// <summary>
    /// What each model may hold. All claims are divided at once, before any model starts: were it first come, first served, the model that is
    /// registered first would have every core, and one that is added before it would change its capacity. So nobody gets a second instance before
    /// each has its first, and what is left goes in equal shares, a share that a model cannot use to the others. The order of registration decides
    /// only what cannot be equal: the cores that are over, and who goes without if there are fewer cores than models.
    /// </summary>
    /// <param name="cores">The cores there are.</param>
    /// <param name="claims">The models', in the order of registration.</param>
    /// <returns>The cores of each claim, in the same order.</returns>
    public static int[] Divide(int cores, IReadOnlyList<CoreClaim> claims)
    {
        var granted = new int[claims.Count];
        var left = cores;
        foreach (var i in Enumerable.Range(0, claims.Count).OrderBy(i => claims[i].Kind))
        {
            granted[i] = Math.Min(claims[i].Least, left);
            left -= granted[i];
        }
        // Callers, timers and the engine compute too. Their core goes last: a first instance that shared one would be slower than they would.
        left = Math.Max(0, left - 1);
        int[] wanting = [.. Enumerable.Range(0, claims.Count).Where(i => claims[i].Most > claims[i].Least).OrderBy(i => claims[i].Most - claims[i].Least)];
        for (var n = 0; n < wanting.Length; n++)
        {
            var (i, sharers) = (wanting[n], wanting.Length - n);
            var more = Math.Min(claims[i].Most - claims[i].Least, (left + sharers - 1) / sharers);
            granted[i] += more;
            left -= more;
        }
        return granted;
    }
}
