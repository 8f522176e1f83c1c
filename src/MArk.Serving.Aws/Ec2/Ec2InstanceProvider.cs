using System.Diagnostics.Metrics;
using Amazon.EC2;
using Amazon.EC2.Model;
using MArk.Serving.Aws.Prices;
using MArk.Serving.OpenInference.Instances;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Ec2;

/// <summary>
/// Machines of EC2. What there is, EC2 knows: all of a fleet are asked for in one call, and a host that starts again finds its machines by their tags. A machine runs, for those that ask, once its worker
/// says that it is ready.
/// </summary>
internal sealed partial class Ec2InstanceProvider : IStandbyProvider, IAsyncDisposable
{
    private const int MaxEnded = 10_000;

    /// <summary>EC2's lists follow what is done by some seconds ("eventual consistency", EC2 developer guide).</summary>
    private static readonly TimeSpan ListsLag = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan StartLag = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LongestPollDelay = TimeSpan.FromMinutes(1);

    private readonly Ec2Options _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Ec2Api _api;
    private readonly Ec2Launcher _launcher;
    private readonly HealthProbe _probe;
    private readonly Histogram<double> _timeToReady;
    private readonly InstanceRegister _machines = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Ec2Machine> _known = [];
    private readonly HashSet<string> _fleets = [];
    private readonly HashSet<string> _launches = [];     // that were asked for, and of which it is not known what came of them
    private readonly HashSet<string> _asked = [];        // launches, ever
    private readonly HashSet<string> _ending = [];       // by this provider itself: what a launch brought beside what it was to bring
    private readonly HashSet<string> _ended = [];
    private readonly Queue<string> _endedInOrder = [];
    private readonly CancellationTokenSource _disposed = new();
    private readonly List<Task> _tasks = [];
    private bool _isPolling;

    public Ec2InstanceProvider(Ec2Options options, string model, TimeProvider time, ILogger logger, Meter meter)
    {
        (_options, _time, _logger) = (options, time, logger);
        _api = Ec2Api.Create(options, model);
        _launcher = new Ec2Launcher(_api, options, model);
        _probe = new HealthProbe(
            new OpenInference.HealthOptions
            {
                Path = options.ReadyPath, Interval = options.ProbeInterval, Timeout = options.ProbeTimeout, MaxFailures = options.MaxProbeFailures, ConfigureHandler = options.ConfigureHandler,
            },
            time);
        _timeToReady = meter.CreateHistogram(
            "mark.serving.instance.time_to_ready", "s", "From the call that launches or starts a machine until its worker serves.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600] });
        Offerings = Ec2Offerings.Of(options.Offerings);
    }

    public IReadOnlyList<InstanceOffering> Offerings { get; private set; }

    public async ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        if (_api.Region is { } region && region != Ec2PriceList.Region && _options.Offerings.Exists(o => o.PricePerHour is null && o.Market != InstanceMarket.Spot))
        {
            AwsLog.OtherRegion(_logger, Ec2PriceList.Region, region);
        }
        if (_options.LookUpSpotPrices)
        {
            Offerings = Ec2Offerings.Of(_options.Offerings, await Ec2Offerings.LookUpAsync(_api, _options.Offerings, _time.GetUtcNow(), _logger, cancellationToken).ConfigureAwait(false));
        }
    }

    public async ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        var offering = _options.Offerings.Find(o => o.Name == request.OfferingName)
            ?? throw new InstanceLaunchException(request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there are: {string.Join(", ", _options.Offerings.Select(o => o.Name))}.");
        if (_machines.TryGetLaunch(request.LaunchId, out var before))
        {
            return before;
        }
        var isRepeated = Begin(request);
        // The answer of an earlier call may have been lost on its way: what it launched has a tag that tells.
        if (isRepeated && await FindLaunchAsync(request, cancellationToken).ConfigureAwait(false) is { } found)
        {
            return found;
        }
        var askedAt = _time.GetUtcNow();
        try
        {
            if (_machines.CountOf(offering.Name) >= offering.MaxInstances)
            {
                throw new InstanceLaunchException(offering.Name, LaunchFailure.QuotaExceeded, $"there are {offering.MaxInstances} machines, which is its maximum.");
            }
            var id = await _launcher.LaunchAsync(offering, request, cancellationToken).ConfigureAwait(false);
            return Launched(request, offering, id, askedAt);
        }
        catch (InstanceLaunchException e) when (e.Failure != LaunchFailure.Unknown)
        {
            // There is no machine to look for.
            lock (_gate)
            {
                _launches.Remove(request.LaunchId);
            }
            throw;
        }
    }

    public async ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        try
        {
            await _api.TerminateAsync(instanceId, cancellationToken).ConfigureAwait(false);
        }
        catch (AwsRequestException e) when (e.ErrorCode == Ec2Errors.NoSuchInstance && !IsYoung(instanceId))
        {
            // It is gone. One that is new here may only not be known everywhere.
        }
        Forget(instanceId);
    }

    public async ValueTask StopAsync(string instanceId, CancellationToken cancellationToken)
    {
        var machine = Find(instanceId) ?? throw new AwsRequestException("ec2:StopInstances", null, $"machine '{instanceId}' is not known; accepted: one of the fleet's list.");
        lock (_gate)
        {
            // Before the call: a worker that is stopped answers no probe any more.
            machine.IsStopping = true;
            Unfollow(machine);
        }
        try
        {
            await _api.StopAsync(instanceId, cancellationToken).ConfigureAwait(false);
            await UntilStoppedAsync(machine, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                machine.IsStopping = false;
            }
        }
    }

    public async ValueTask StartAsync(string instanceId, CancellationToken cancellationToken)
    {
        var machine = Find(instanceId) ?? throw new InstanceLaunchException("", LaunchFailure.Unknown, $"machine '{instanceId}' is not known; accepted: one of the fleet's list.");
        var askedAt = _time.GetUtcNow();
        try
        {
            await _api.StartAsync(instanceId, cancellationToken).ConfigureAwait(false);
        }
        catch (AwsRequestException e)
        {
            throw new InstanceLaunchException(machine.Offering?.Name ?? "", Ec2Errors.FailureOf(e), e.Message, e);
        }
        lock (_gate)
        {
            // What EC2 said of it before is not true any more, nor what its worker said.
            (machine.SettledAt, machine.AskedAt) = (_time.GetUtcNow() + StartLag, askedAt);
            (machine.IsTimed, machine.IsInterrupted, machine.InterruptedAt) = (false, false, null);
            Unfollow(machine);
            _machines.Change(instanceId, before => before with { State = InstanceState.Pending, Endpoint = null, InterruptedAt = null });
        }
    }

    public async ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken)
    {
        await RefreshAsync(fleet, cancellationToken).ConfigureAwait(false);
        var machines = _machines.List(fleet);
        lock (_gate)
        {
            // A list misses a machine that lives, now and then. One that it misses for so long is lost: whoever keeps the fleet ends it, which does no harm to one that is gone.
            return [.. machines.Where(m => !(_known.TryGetValue(m.Id, out var machine) && machine.MissingSince is { } since && _time.GetUtcNow() - since >= ListsLag))];
        }
    }

    public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken)
    {
        Poll(fleet);
        return _machines.WatchAsync(fleet, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed.IsCancellationRequested)
        {
            return;
        }
        await _disposed.CancelAsync().ConfigureAwait(false);
        Task[] tasks;
        lock (_gate)
        {
            tasks = [.. _tasks];
        }
        await Task.WhenAll(tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _probe.Dispose();
        _api.Dispose();
        _disposed.Dispose();
    }

    private async Task UntilStoppedAsync(Ec2Machine machine, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_options.StopTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken, _disposed.Token);
        try
        {
            while (StateOf(machine) != InstanceState.Stopped)
            {
                await RefreshAsync(machine.Fleet, either.Token).ConfigureAwait(false);
                if (StateOf(machine) is InstanceState.Stopped or null)
                {
                    return;
                }
                await Task.Delay(_options.PollInterval, _time, either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new AwsRequestException("ec2:StopInstances", null, $"machine '{machine.Id}' did not stop within StopTimeout, {_options.StopTimeout}.", e);
        }
    }

    private async Task<InstanceDescriptor?> FindLaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        var instances = await _api.DescribeAsync([(Ec2Tags.Owner, _options.Owner), (Ec2Tags.Fleet, request.Fleet), (Ec2Tags.Launch, request.LaunchId)], cancellationToken).ConfigureAwait(false);
        foreach (var instance in instances.Where(i => !IsEnded(i)))
        {
            Follow(request.Fleet, instance, EndpointOf(instance), _time.GetUtcNow());
        }
        if (!_machines.TryGetLaunch(request.LaunchId, out var found))
        {
            return null;
        }
        lock (_gate)
        {
            _launches.Remove(request.LaunchId);
        }
        return found;
    }

    /// <summary>Whether the launch was asked for before.</summary>
    private bool Begin(LaunchRequest request)
    {
        Poll(request.Fleet);
        lock (_gate)
        {
            _asked.Add(request.LaunchId);
            return !_launches.Add(request.LaunchId);
        }
    }

    private InstanceDescriptor Launched(LaunchRequest request, Ec2Offering offering, string id, DateTimeOffset askedAt)
    {
        lock (_gate)
        {
            _launches.Remove(request.LaunchId);
            if (_known.TryGetValue(id, out var machine))
            {
                // A list was faster than the answer.
                machine.AskedAt = askedAt;
            }
            else if (_machines.TryGetLaunch(request.LaunchId, out var other))
            {
                // A list was faster with another machine of the launch: one is enough.
                End(id);
                return other;
            }
            else
            {
                Add(new Ec2Machine(id, request.Fleet, offering, offering.InstanceTypes[0], _time.GetUtcNow()) { AskedAt = askedAt }, request.LaunchId, request.OfferingName, askedAt);
            }
            return _machines.TryGetLaunch(request.LaunchId, out var descriptor) ? descriptor : throw new InvalidOperationException($"Machine '{id}' was not taken in.");
        }
    }

    private void Add(Ec2Machine machine, string launchId, string offeringName, DateTimeOffset billedFrom)
    {
        _known.Add(machine.Id, machine);
        _machines.Add(machine.Fleet, new InstanceDescriptor { Id = machine.Id, LaunchId = launchId, OfferingName = offeringName, State = InstanceState.Pending, BilledFrom = billedFrom, DeviceTimeScale = machine.Offering?.DeviceTimeScale ?? 1 });
    }

    private InstanceState? StateOf(Ec2Machine machine) => _machines.List(machine.Fleet).FirstOrDefault(m => m.Id == machine.Id)?.State;

    private Ec2Machine? Find(string instanceId)
    {
        lock (_gate)
        {
            return _known.GetValueOrDefault(instanceId);
        }
    }

    private bool IsYoung(string instanceId)
    {
        lock (_gate)
        {
            return _known.TryGetValue(instanceId, out var machine) && _time.GetUtcNow() - machine.KnownFrom < ListsLag;
        }
    }

    /// <summary>A machine is gone, or is not to be seen again.</summary>
    private void Forget(string instanceId)
    {
        lock (_gate)
        {
            if (_known.Remove(instanceId, out var machine))
            {
                Unfollow(machine);
            }
            if (_ended.Add(instanceId))
            {
                _endedInOrder.Enqueue(instanceId);
            }
            if (_endedInOrder.Count > MaxEnded)
            {
                _ended.Remove(_endedInOrder.Dequeue());
            }
            _machines.Change(instanceId, InstanceState.Terminated);
        }
    }
}
