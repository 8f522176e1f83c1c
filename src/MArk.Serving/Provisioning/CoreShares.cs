namespace MArk.Serving.Provisioning;

/// <summary>The cores of this process, divided among the models of the host. What fixed instances get is held from the beginning, before a fleet can take it.</summary>
internal sealed class CoreShares
{
    private readonly Dictionary<string, CoreLease> _leases = [];

    public CoreShares(CoreBudget budget, IEnumerable<CoreClaim> claims)
    {
        Cores = budget.Cores;
        CoreClaim[] all = [.. claims];
        var granted = CoreDivision.Divide(budget.Cores, all);
        for (var i = 0; i < all.Length; i++)
        {
            _leases.Add(all[i].ModelName, new CoreLease(budget, all[i], granted[i]));
        }
    }

    public int Cores { get; }

    public CoreLease Of(string modelName) => _leases[modelName];
}
