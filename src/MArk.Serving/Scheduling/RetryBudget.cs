namespace MArk.Serving.Scheduling;

/// <summary>How many more extra runs a failed batch may cause, whichever of its parts they are for.</summary>
internal sealed class RetryBudget(int runs)
{
    private int _left = runs;

    public bool TryTake(int runs)
    {
        if (_left < runs)
        {
            return false;
        }
        _left -= runs;
        return true;
    }

    /// <summary>A part that is too large for the instance that takes it is run as two.</summary>
    public void TakeAnyway() => _left--;
}
