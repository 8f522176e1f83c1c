namespace MArk.Serving.Provisioning;

/// <summary>A model's instances in this process where no provider gives them, and the cores they hold until the model has stopped.</summary>
internal sealed class CoreLease
{
    private readonly CoreBudget _budget;
    private readonly bool _isByCores;

    public CoreLease(CoreBudget budget, CoreClaim claim, int cores)
    {
        _budget = budget;
        _isByCores = claim.IsByCores;
        (Instances, Threads) = claim.On(cores);
        var held = (int)Math.Min(cores, (long)Instances * Threads);
        Held = budget.TryHold(held) ? held : 0;
        IsShared = Held < (long)Instances * Threads;
    }

    public int Instances { get; private set; }

    /// <summary>The threads of each instance; 0 if it computes elsewhere.</summary>
    public int Threads { get; }

    public int Held { get; private set; }

    /// <summary>Whether the instances compute on more threads than there were free cores.</summary>
    public bool IsShared { get; }

    /// <summary>Keeps one instance where the cores said how many, and gives the other cores back.</summary>
    public void KeepOne()
    {
        if (_isByCores)
        {
            Instances = 1;
            GiveBackAllBut(Math.Min(Held, Threads));
        }
    }

    public void Release() => GiveBackAllBut(0);

    private void GiveBackAllBut(int kept)
    {
        _budget.Release(Held - kept);
        Held = kept;
    }
}
