namespace MArk.Serving.Provisioning;

/// <summary>The processor cores of this process, which instances of all models hold exclusively while they live.</summary>
internal sealed class CoreBudget(int cores)
{
    private readonly Lock _gate = new();
    private int _held;

    public int Cores { get; } = cores;

    public int Held
    {
        get
        {
            lock (_gate)
            {
                return _held;
            }
        }
    }

    public bool TryHold(int threads)
    {
        lock (_gate)
        {
            if (_held + threads > Cores)
            {
                return false;
            }
            _held += threads;
            return true;
        }
    }

    public void Release(int threads)
    {
        lock (_gate)
        {
            _held -= threads;
        }
    }
}
