namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>A machine, as the world knows it: the engine learns later that it is lost.</summary>
internal sealed class StressMachine(RequestLedger ledger, string id)
{
    private readonly Lock _gate = new();
    private volatile bool _isLost;
    private int _runners;
    private bool _isCounted;
    private bool _isOver;

    public string Id => id;

    public bool IsLost => _isLost;

    /// <summary>The machine is gone; the engine is told afterwards.</summary>
    /// <returns>Whether it was there until now.</returns>
    public bool Lose()
    {
        lock (_gate)
        {
            if (_isLost)
            {
                return false;
            }
            _isLost = true;
            CountLoss();
            return true;
        }
    }

    /// <summary>A runner is connected to it: from now on requests can be lost with it.</summary>
    public void Connect()
    {
        lock (_gate)
        {
            _runners++;
            CountLoss();
        }
    }

    /// <summary>A runner of it is disposed of: after the last, no request can be lost with it any more.</summary>
    public void Disconnect()
    {
        lock (_gate)
        {
            if (--_runners == 0 && _isCounted && !_isOver)
            {
                _isOver = true;
                ledger.OnLossIsOver();
            }
        }
    }

    private void CountLoss()
    {
        if (_isLost && _runners > 0 && !_isCounted)
        {
            _isCounted = true;
            ledger.OnLoss();
        }
    }
}
