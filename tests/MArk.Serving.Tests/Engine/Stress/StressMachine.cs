namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>A machine, as the world knows it: the engine learns later that it is lost.</summary>
internal sealed class StressMachine(RequestLedger ledger, string id)
{
    private int _lost;
    private int _connected;
    private int _counted;

    public string Id => id;

    public bool IsLost => Volatile.Read(ref _lost) == 1;

    /// <summary>The machine is gone; the engine is told afterwards.</summary>
    /// <returns>Whether it was there until now.</returns>
    public bool Lose()
    {
        if (Interlocked.Exchange(ref _lost, 1) == 1)
        {
            return false;
        }
        CountLoss();
        return true;
    }

    /// <summary>A runner is connected to it: from now on requests can be lost with it.</summary>
    public void Connect()
    {
        Interlocked.Exchange(ref _connected, 1);
        CountLoss();
    }

    /// <summary>Its runner is disposed of: no request can be lost with it any more.</summary>
    public void Disconnect()
    {
        if (Interlocked.Exchange(ref _counted, 2) == 1)
        {
            ledger.OnLossIsOver();
        }
    }

    private void CountLoss()
    {
        if (IsLost && Volatile.Read(ref _connected) == 1 && Interlocked.CompareExchange(ref _counted, 1, 0) == 0)
        {
            ledger.OnLoss();
        }
    }
}
