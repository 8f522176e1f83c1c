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

    /// <summary>The part of <see cref="InstanceCost"/> that instances bought on demand cost, US dollars.</summary>
    public decimal OnDemandCost { get; init; }

    /// <summary>The part of <see cref="InstanceCost"/> that spot instances cost, US dollars.</summary>
    public decimal SpotCost { get; init; }

    /// <summary>The part of <see cref="InstanceCost"/> that standby instances cost, US dollars.</summary>
    public decimal StandbyCost { get; init; }

    /// <summary>The most instances that were had at a time.</summary>
    public int PeakInstances { get; init; }

    /// <summary>
    /// What the fleet would have cost, US dollars, if it had always been the one that costs most on demand of all that were had, from the first instance until now, at on-demand
    /// prices. What was spilled would have needed more.
    /// </summary>
    public decimal OnDemandPeakCost { get; init; }

    /// <summary>What was saved against that, US dollars; less than zero if it was not worth it.</summary>
    public decimal Savings => OnDemandPeakCost - Total;
}

/// <summary>Counts the money: instances by the second with a minimum, and spilled requests. Told what happened and when. Thread-safe.</summary>
internal sealed class CostLedger
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (InstanceOffering Offering, DateTimeOffset BilledFrom)> _running = [];
    private readonly List<string> _order = [];      // the order in which running instances are added up
    private readonly decimal[] _endedCost = new decimal[Enum.GetValues<InstanceMarket>().Length];      // by market
    private DateTimeOffset? _since;
    private decimal _onDemandPerHour;       // what those that run now would cost on demand
    private decimal _peakPerHour;
    private int _peak;
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
                _since = billedFrom < _since ? billedFrom : _since ?? billedFrom;
                _onDemandPerHour += OnDemand(offering);
                _peakPerHour = Math.Max(_peakPerHour, _onDemandPerHour);
                _peak = Math.Max(_peak, _running.Count);
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
                _endedCost[(int)instance.Offering.Market] += Price(instance.Offering, billed);
                _onDemandPerHour -= OnDemand(instance.Offering);
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
            decimal[] cost = [.. _endedCost];
            var time = _endedTime;
            foreach (var id in _order)
            {
                var (offering, from) = _running[id];
                var billed = Billed(offering, from, now);
                time += billed;
                cost[(int)offering.Market] += Price(offering, billed);
            }
            return new CostSummary(cost.Sum(), _spilloverCost, _spilled, time, _launched, _terminated)
            {
                OnDemandCost = cost[(int)InstanceMarket.OnDemand],
                SpotCost = cost[(int)InstanceMarket.Spot],
                StandbyCost = cost[(int)InstanceMarket.Standby],
                PeakInstances = _peak,
                OnDemandPeakCost = _since is { } since && now > since ? _peakPerHour * (now - since).Ticks / TimeSpan.TicksPerHour : 0,
            };
        }
    }

    private static decimal OnDemand(InstanceOffering offering) => offering.OnDemandPricePerHour ?? offering.PricePerHour;

    private static TimeSpan Billed(InstanceOffering offering, DateTimeOffset from, DateTimeOffset until)
    {
        var ran = until > from ? until - from : TimeSpan.Zero;
        return ran > offering.MinimumBilling ? ran : offering.MinimumBilling;
    }

    private static decimal Price(InstanceOffering offering, TimeSpan billed) => offering.PricePerHour * billed.Ticks / TimeSpan.TicksPerHour;
}
