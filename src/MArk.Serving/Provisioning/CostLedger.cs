namespace MArk.Serving.Provisioning;

/// <summary>What serving has cost so far.</summary>
/// <param name="InstanceCost">What instances cost, US dollars, by the second, minimum billing paid; those that still run included.</param>
/// <param name="SpilloverCost">What spilled requests cost, US dollars.</param>
/// <param name="SpilledRequests">How many were spilled.</param>
/// <param name="InstanceTime">The time instances were billed for, added up.</param>
/// <param name="Launched">How many instances began to cost.</param>
/// <param name="Terminated">How many of them have ended.</param>
public readonly record struct CostSummary(
    decimal InstanceCost, decimal SpilloverCost, long SpilledRequests, TimeSpan InstanceTime, int Launched, int Terminated)
{
    /// <summary>Instances and spillover, US dollars.</summary>
    public decimal Total => InstanceCost + SpilloverCost;
}

/// <summary>Counts the money: instances by the second with a minimum, and spilled requests. Told what happened and when. Thread-safe.</summary>
internal sealed class CostLedger
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (InstanceOffering Offering, DateTimeOffset BilledFrom)> _running = [];
    private readonly List<string> _order = [];      // the order in which running instances are added up
    private decimal _endedCost;
    private TimeSpan _endedTime;
    private decimal _spilloverCost;
    private long _spilled;
    private int _launched;
    private int _terminated;

    public void OnLaunched(string instanceId, InstanceOffering offering, DateTimeOffset billedFrom)
    {
        lock (_gate)
        {
            if (_running.TryAdd(instanceId, (offering, billedFrom)))
            {
                _order.Add(instanceId);
                _launched++;
            }
        }
    }

    public void OnTerminated(string instanceId, DateTimeOffset at)
    {
        lock (_gate)
        {
            if (_running.Remove(instanceId, out var instance))
            {
                _order.Remove(instanceId);
                var billed = Billed(instance.Offering, instance.BilledFrom, at);
                _endedTime += billed;
                _endedCost += Price(instance.Offering, billed);
                _terminated++;
            }
        }
    }

    public void OnSpilled(decimal price)
    {
        lock (_gate)
        {
            _spilled++;
            _spilloverCost += price;
        }
    }

    public CostSummary Summary(DateTimeOffset now)
    {
        lock (_gate)
        {
            var (cost, time) = (_endedCost, _endedTime);
            foreach (var id in _order)
            {
                var (offering, from) = _running[id];
                var billed = Billed(offering, from, now);
                time += billed;
                cost += Price(offering, billed);
            }
            return new CostSummary(cost, _spilloverCost, _spilled, time, _launched, _terminated);
        }
    }

    private static TimeSpan Billed(InstanceOffering offering, DateTimeOffset from, DateTimeOffset until)
    {
        var ran = until > from ? until - from : TimeSpan.Zero;
        return ran > offering.MinimumBilling ? ran : offering.MinimumBilling;
    }

    private static decimal Price(InstanceOffering offering, TimeSpan billed) => offering.PricePerHour * billed.Ticks / TimeSpan.TicksPerHour;
}
