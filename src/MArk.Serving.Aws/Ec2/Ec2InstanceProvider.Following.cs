using Amazon.EC2;
using Amazon.EC2.Model;

namespace MArk.Serving.Aws.Ec2;

// What becomes of the machines: by what EC2 says of them, and by what their workers say.
internal sealed partial class Ec2InstanceProvider
{
    /// <summary>A spot machine is taken away so long after its request is marked ("Spot Instance interruption notices", EC2 user guide).</summary>
    private static readonly TimeSpan SpotNotice = TimeSpan.FromMinutes(2);

    /// <summary>Has EC2 asked for a fleet's machines from now on.</summary>
    private void Poll(string fleet)
    {
        lock (_gate)
        {
            _fleets.Add(fleet);
            if (!_isPolling)
            {
                _isPolling = true;
                Run(PollAsync);
            }
        }
    }

    private void Run(Func<Task> what)
    {
        lock (_gate)
        {
            _tasks.RemoveAll(t => t.IsCompleted);
            _tasks.Add(OwnContext.Run(what));
        }
    }

    private async Task PollAsync()
    {
        var (failures, failuresOfNotices, noticesFrom) = (0, 0, DateTimeOffset.MinValue);
        while (true)
        {
            await Task.Delay(PollDelay(failures), _time, _disposed.Token).ConfigureAwait(false);
            string[] fleets;
            lock (_gate)
            {
                fleets = [.. _fleets.Where(fleet => _known.Values.Any(m => m.Fleet == fleet))];
            }
            var failed = false;
            foreach (var fleet in fleets)
            {
                try
                {
                    await RefreshAsync(fleet, _disposed.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (!_disposed.IsCancellationRequested)
                {
                    AwsLog.PollFailed(_logger, fleet, PollDelay(failures + 1), e);
                    failed = true;
                    continue;
                }
                if (_time.GetUtcNow() < noticesFrom)
                {
                    continue;
                }
                try
                {
                    await LookForNoticesAsync(fleet, _disposed.Token).ConfigureAwait(false);
                    failuresOfNotices = 0;
                }
                catch (Exception e) when (!_disposed.IsCancellationRequested)
                {
                    // Without notices the list is as good as ever.
                    var delay = PollDelay(++failuresOfNotices);
                    noticesFrom = _time.GetUtcNow() + delay;
                    AwsLog.NoNotices(_logger, fleet, delay, e);
                }
            }
            failures = failed ? failures + 1 : 0;
        }
    }

    private TimeSpan PollDelay(int failures)
    {
        var delay = _options.PollInterval * Math.Pow(2, Math.Min(failures, 10));
        var longest = _options.PollInterval > LongestPollDelay ? _options.PollInterval : LongestPollDelay;
        return delay < longest ? delay : longest;
    }

    /// <summary>Takes note of what EC2 says of a fleet.</summary>
    /// <exception cref="AwsRequestException">EC2 does not say.</exception>
    private async Task RefreshAsync(string fleet, CancellationToken cancellationToken)
    {
        var asOf = _time.GetUtcNow();
        var instances = await _api.DescribeAsync([(Ec2Tags.Owner, _options.Owner), (Ec2Tags.Fleet, fleet)], cancellationToken).ConfigureAwait(false);
        var listed = new HashSet<string>();
        foreach (var instance in instances)
        {
            if (IsEnded(instance))
            {
                Forget(instance.InstanceId);
            }
            else
            {
                listed.Add(instance.InstanceId);
                Follow(fleet, instance, EndpointOf(instance), asOf);
            }
        }
        lock (_gate)
        {
            foreach (var machine in _known.Values.Where(m => m.Fleet == fleet))
            {
                machine.MissingSince = listed.Contains(machine.Id) ? null : machine.MissingSince ?? asOf;
            }
        }
    }

    private static bool IsEnded(Instance instance) => instance.State?.Name is { } state && (state == InstanceStateName.ShuttingDown || state == InstanceStateName.Terminated);

    /// <summary>Asks what becomes of a fleet's spot machines.</summary>
    /// <exception cref="AwsRequestException">EC2 does not say.</exception>
    private async Task LookForNoticesAsync(string fleet, CancellationToken cancellationToken)
    {
        string[] spot;
        lock (_gate)
        {
            spot = [.. _known.Values.Where(m => m.Fleet == fleet && m.Offering?.Market == InstanceMarket.Spot && !m.IsInterrupted).Select(m => m.Id)];
        }
        foreach (var request in await _api.DescribeSpotAsync(spot, cancellationToken).ConfigureAwait(false))
        {
            if (request.Status?.Code is "marked-for-termination" or "marked-for-stop")
            {
                DateTimeOffset? at = request.Status.UpdateTime is { } marked ? new DateTimeOffset(marked.ToUniversalTime()) + SpotNotice : null;
                Interrupt(request.InstanceId, at, $"EC2 says that its spot request is {request.Status.Code}.");
            }
        }
    }

    /// <summary>Takes note of what EC2 says of a machine.</summary>
    private void Follow(string fleet, Instance instance, Uri? endpoint, DateTimeOffset asOf)
    {
        lock (_gate)
        {
            if (_ended.Contains(instance.InstanceId))
            {
                return;
            }
            if (!_known.TryGetValue(instance.InstanceId, out var machine) && !TryAdopt(fleet, instance, out machine))
            {
                return;
            }
            machine.Type = instance.InstanceType?.Value ?? machine.Type;
            if (asOf < machine.SettledAt)
            {
                return;
            }
            var state = instance.State?.Name;
            if (state == InstanceStateName.Running)
            {
                FollowWorker(machine, endpoint);
            }
            else if (state == InstanceStateName.Stopping || state == InstanceStateName.Stopped)
            {
                Unfollow(machine);
                if (state == InstanceStateName.Stopped && StateOf(machine) != InstanceState.Stopped)
                {
                    _machines.Change(machine.Id, InstanceState.Stopped);
                }
            }
        }
    }

    private bool TryAdopt(string fleet, Instance instance, out Ec2Machine machine)
    {
        var (launch, name) = (Ec2Tags.Find(instance, Ec2Tags.Launch) ?? instance.InstanceId, Ec2Tags.Find(instance, Ec2Tags.Offering) ?? "");
        machine = new Ec2Machine(instance.InstanceId, fleet, _options.Offerings.Find(o => o.Name == name), instance.InstanceType?.Value ?? "", _time.GetUtcNow());
        if (_machines.TryGetLaunch(launch, out _))
        {
            // A launch has come to two machines, though its token is to keep EC2 from that: one is enough. Who did not ask for it cannot know which, and has one more.
            if (_asked.Contains(launch))
            {
                End(machine.Id);
                return false;
            }
            launch = machine.Id;
        }
        Add(machine, launch, name, instance.LaunchTime is { } at ? new DateTimeOffset(at.ToUniversalTime()) : _time.GetUtcNow());
        return true;
    }

    /// <summary>Where a machine's worker answers, once that is to be known. Not called under the lock: users may say.</summary>
    private Uri? EndpointOf(Instance instance)
    {
        if (instance.State?.Name != InstanceStateName.Running)
        {
            return null;
        }
        if (_options.EndpointOf is { } of)
        {
            try
            {
                var said = of(instance);
                return said is null or { IsAbsoluteUri: true } ? said : throw new ServingException($"'{said}' is no absolute address.");
            }
            catch (Exception e)
            {
                AwsLog.NoEndpoint(_logger, instance.InstanceId, e);
                return null;
            }
        }
        var address = _options.UsePublicAddress ? instance.PublicIpAddress : instance.PrivateIpAddress;
        return string.IsNullOrEmpty(address) ? null : new UriBuilder(_options.WorkerScheme, address, _options.WorkerPort).Uri;
    }

    private void FollowWorker(Ec2Machine machine, Uri? endpoint)
    {
        if (endpoint is null || machine.Following is not null || machine.IsStopping || machine.Offering is null)
        {
            return;
        }
        var following = machine.Following = CancellationTokenSource.CreateLinkedTokenSource(_disposed.Token);
        Run(() => FollowWorkerAsync(machine, endpoint, following));
    }

    /// <summary>Called under the lock, so what is cancelled must not run on at once.</summary>
    private static void Unfollow(Ec2Machine machine)
    {
        _ = machine.Following?.CancelAsync();
        machine.Following = null;
    }

    /// <summary>Tells whenever a machine's worker serves, and whenever it does not any more.</summary>
    private async Task FollowWorkerAsync(Ec2Machine machine, Uri endpoint, CancellationTokenSource following)
    {
        using var _ = following;
        var cancellationToken = following.Token;
        try
        {
            while (true)
            {
                var health = await _probe.AskAsync(endpoint, cancellationToken).ConfigureAwait(false);
                if (health.IsWell)
                {
                    OnServes(machine, endpoint, following);
                    OnUnwell(machine, endpoint, following, await _probe.UntilGivenUpAsync(endpoint, endsAt => Interrupt(machine.Id, endsAt, "its worker says so."), cancellationToken).ConfigureAwait(false));
                }
                else if (health.IsDraining)
                {
                    Interrupt(machine.Id, health.EndsAt, "its worker says so.");
                }
                await Task.Delay(_options.ProbeInterval, _time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It is stopped, or ended, or this host is.
        }
    }

    /// <summary>
    /// A worker does not serve any more. Whoever keeps the fleet is told as of a machine that is taken away now, and ends it; a host that does not keep it must not.
    /// </summary>
    private void OnUnwell(Ec2Machine machine, Uri endpoint, CancellationTokenSource following, string why)
    {
        AwsLog.GivenUp(_logger, machine.Id, endpoint, why);
        lock (_gate)
        {
            if (machine.Following == following && !machine.IsInterrupted)
            {
                _machines.Change(machine.Id, before => before with { State = InstanceState.Interrupting, InterruptedAt = _time.GetUtcNow() });
            }
        }
    }

    private void OnServes(Ec2Machine machine, Uri endpoint, CancellationTokenSource following)
    {
        DateTimeOffset? asked;
        lock (_gate)
        {
            if (machine.Following != following)
            {
                return;
            }
            _machines.Change(machine.Id, before => before with { State = machine.IsInterrupted ? before.State : InstanceState.Running, Endpoint = endpoint });
            asked = machine.IsTimed ? null : machine.AskedAt;
            machine.IsTimed = true;
        }
        if (asked is { } at)
        {
            var (took, market) = ((_time.GetUtcNow() - at).TotalSeconds, machine.Offering!.Market.ToString());
            _timeToReady.Record(
                took, new("mark.model", machine.Fleet), new("mark.offering", machine.Offering.Name), new("mark.market", NameOf(machine.Offering.Market)), new("mark.instance.type", machine.Type));
            AwsLog.Serves(_logger, machine.Id, machine.Type, market, endpoint, took);
        }
    }

    /// <summary>A market as telemetry names it.</summary>
    private static string NameOf(InstanceMarket market) => market switch
    {
        InstanceMarket.Spot => "spot",
        InstanceMarket.Standby => "standby",
        _ => "on_demand",
    };

    private void Interrupt(string instanceId, DateTimeOffset? at, string why)
    {
        lock (_gate)
        {
            // The worker may know later, or better, than EC2 when that will be.
            if (!_known.TryGetValue(instanceId, out var machine) || (machine.IsInterrupted && (at is null || at == machine.InterruptedAt)))
            {
                return;
            }
            (machine.IsInterrupted, machine.InterruptedAt) = (true, at);
            _machines.Change(instanceId, before => before with { State = InstanceState.Interrupting, InterruptedAt = at });
        }
        AwsLog.Interrupted(_logger, instanceId, at, why);
    }

    /// <summary>Ends a machine that is of no use, in the background.</summary>
    private void End(string instanceId)
    {
        lock (_gate)
        {
            if (_ending.Add(instanceId))
            {
                Run(() => EndAsync(instanceId));
            }
        }
    }

    /// <summary>Ends a machine, however often EC2 must be asked.</summary>
    private async Task EndAsync(string instanceId)
    {
        var from = _time.GetUtcNow();
        for (var failures = 0; !_disposed.IsCancellationRequested; failures++)
        {
            try
            {
                await _api.TerminateAsync(instanceId, _disposed.Token).ConfigureAwait(false);
                break;
            }
            catch (AwsRequestException e) when (e.ErrorCode == Ec2Errors.NoSuchInstance)
            {
                // It is gone, or it is so new that it is not known everywhere.
                if (_time.GetUtcNow() - from >= ListsLag)
                {
                    break;
                }
            }
            catch (AwsRequestException e)
            {
                AwsLog.NotEnded(_logger, instanceId, PollDelay(failures), e);
            }
            await Task.Delay(PollDelay(failures), _time, _disposed.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (_disposed.IsCancellationRequested)
        {
            return;
        }
        Forget(instanceId);
        lock (_gate)
        {
            _ending.Remove(instanceId);
        }
    }
}
