namespace MArk.Serving.Provisioning;

/// <summary>What serving has cost so far.</summary>
/// <param name="InstanceCost">What instances cost, US dollars, by the second, minimum billing paid; those that still run included.</param>
/// <param name="SpilloverCost">What spilled requests cost, US dollars.</param>
/// <param name="SpilledRequests">How many were spilled.</param>
/// <param name="InstanceTime">The time instances were billed for at their full price, added up: that in which standby instances were stopped is not in it.</param>
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

    /// <summary>The part of <see cref="InstanceCost"/> that standby instances cost, stopped or not, US dollars.</summary>
    public decimal StandbyCost { get; init; }

    /// <summary>The most instances that were had at a time, stopped ones left out.</summary>
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
    private readonly Dictionary<string, Account> _accounts = [];
    private readonly List<string> _order = [];      // the order in which instances are added up
    private readonly decimal[] _endedCost = new decimal[Enum.GetValues<InstanceMarket>().Length];      // by market
    private DateTimeOffset? _since;
    private decimal _onDemandPerHour;       // what those that run now would cost on demand
    private decimal _peakPerHour;
    private int _peak;
    private int _running;
    private TimeSpan _endedTime;
    private decimal _spilloverCost;
    private long _spilled;
    private int _launched;
    private int _terminated;

    /// <summary>An instance costs from now on.</summary>
    /// <param name="instanceId">Which.</param>
    /// <param name="offering">What it is.</param>
    /// <param name="billedFrom">Since when.</param>
    /// <param name="isStopped">Whether it is stopped, and costs its stopped price.</param>
    public void OnLaunched(string instanceId, InstanceOffering offering, DateTimeOffset billedFrom, bool isStopped = false)
    {
        lock (_gate)
        {
            if (!_accounts.TryAdd(instanceId, new Account(offering, billedFrom, isStopped)))
            {
                return;
            }
            _order.Add(instanceId);
            _launched++;
            _since = billedFrom < _since ? billedFrom : _since ?? billedFrom;
            Count(offering, isStopped ? 0 : 1);
        }
    }

    /// <summary>An instance is kept and costs its stopped price. One that is stopped stays so.</summary>
    public void OnStopped(string instanceId, DateTimeOffset at) => Turn(instanceId, at, isStopped: true);

    /// <summary>A stopped instance costs its price again. One that runs goes on.</summary>
    public void OnStarted(string instanceId, DateTimeOffset at) => Turn(instanceId, at, isStopped: false);

    public void OnTerminated(string instanceId, DateTimeOffset at)
    {
        lock (_gate)
        {
            if (_accounts.Remove(instanceId, out var account))
            {
                _order.Remove(instanceId);
                Close(account, at);
                Count(account.Offering, account.IsStopped ? 0 : -1);
                _terminated++;
            }
        }
    }

    private void Turn(string instanceId, DateTimeOffset at, bool isStopped)
    {
        lock (_gate)
        {
            if (_accounts.TryGetValue(instanceId, out var account) && account.IsStopped != isStopped)
            {
                Close(account, at);
                _accounts[instanceId] = account with { From = at, IsStopped = isStopped };
                Count(account.Offering, isStopped ? -1 : 1);
            }
        }
    }

    private void Close(in Account account, DateTimeOffset at)
    {
        _endedTime += account.TimeUntil(at);
        _endedCost[(int)account.Offering.Market] += account.CostUntil(at);
    }

    private void Count(InstanceOffering offering, int more)
    {
        _running += more;
        _onDemandPerHour += more * (offering.OnDemandPricePerHour ?? offering.PricePerHour);
        _peakPerHour = Math.Max(_peakPerHour, _onDemandPerHour);
        _peak = Math.Max(_peak, _running);
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
                var account = _accounts[id];
                time += account.TimeUntil(now);
                cost[(int)account.Offering.Market] += account.CostUntil(now);
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

    /// <summary>What an instance has cost since it was launched, stopped or started last.</summary>
    private readonly record struct Account(InstanceOffering Offering, DateTimeOffset From, bool IsStopped)
    {
        /// <summary>The time that is billed at the full price: none where it has ended before it began to cost.</summary>
        public TimeSpan TimeUntil(DateTimeOffset at) =>
            IsStopped || at < From ? TimeSpan.Zero : Passed(at) is var ran && ran > Offering.MinimumBilling ? ran : Offering.MinimumBilling;

        public decimal CostUntil(DateTimeOffset at) =>
            IsStopped ? Offering.StoppedPricePerHour * Passed(at).Ticks / TimeSpan.TicksPerHour : Offering.PricePerHour * TimeUntil(at).Ticks / TimeSpan.TicksPerHour;

        private TimeSpan Passed(DateTimeOffset at) => at > From ? at - From : TimeSpan.Zero;
    }
}
