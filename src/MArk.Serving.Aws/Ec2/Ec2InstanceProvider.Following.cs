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
                _tasks.Add(Task.Run(PollAsync));
            }
        }
    }

    private async Task PollAsync()
    {
        var failures = 0;
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
                catch (AwsRequestException e)
                {
                    AwsLog.PollFailed(_logger, fleet, PollDelay(failures + 1), e);
                    failed = true;
                }
            }
            failures = failed ? failures + 1 : 0;
        }
    }

    private TimeSpan PollDelay(int failures)
    {
        var delay = _options.PollInterval * Math.Pow(2, Math.Min(failures, 10));
        return failures == 0 || delay < LongestPollDelay ? delay : LongestPollDelay;
    }

    /// <summary>Takes note of what EC2 says of a fleet.</summary>
    /// <exception cref="AwsRequestException">EC2 does not say.</exception>
    private async Task RefreshAsync(string fleet, CancellationToken cancellationToken)
    {
        var asOf = _time.GetUtcNow();
        var instances = await _api.DescribeAsync([(Ec2Tags.Owner, _options.Owner), (Ec2Tags.Fleet, fleet)], cancellationToken).ConfigureAwait(false);
        foreach (var instance in instances)
        {
            Follow(fleet, instance, asOf);
        }
        var listed = instances.Select(i => i.InstanceId).ToHashSet();
        string[] gone, spot;
        lock (_gate)
        {
            gone = [.. _known.Values.Where(m => m.Fleet == fleet && !listed.Contains(m.Id) && m.KnownFrom < asOf - (m.AskedAt is null ? TimeSpan.Zero : ListsLag)).Select(m => m.Id)];
            spot = [.. _known.Values.Where(m => m.Fleet == fleet && listed.Contains(m.Id) && m.Offering?.Market == InstanceMarket.Spot && !m.IsInterrupted).Select(m => m.Id)];
        }
        Array.ForEach(gone, Forget);
        if (spot.Length > 0)
        {
            foreach (var request in await _api.DescribeSpotAsync(spot, cancellationToken).ConfigureAwait(false))
            {
                if (request.Status?.Code is "marked-for-termination" or "marked-for-stop")
                {
                    DateTimeOffset? at = request.Status.UpdateTime is { } marked ? new DateTimeOffset(marked.ToUniversalTime()) + SpotNotice : null;
                    Interrupt(request.InstanceId, at, $"EC2 says that its spot request is {request.Status.Code}.");
                }
            }
        }
    }

    /// <summary>Takes note of what EC2 says of a machine.</summary>
    private void Follow(string fleet, Instance instance, DateTimeOffset asOf)
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
                FollowWorker(machine, EndpointOf(instance));
            }
            else if (state == InstanceStateName.Stopping || state == InstanceStateName.Stopped)
            {
                Unfollow(machine);
                if (state == InstanceStateName.Stopped && StateOf(machine) != InstanceState.Stopped)
                {
                    Change(machine, InstanceState.Stopped);
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
            // A launch has come to two machines, though its token is to keep EC2 from that: one is enough.
            _tasks.Add(EndAsync(machine.Id));
            return false;
        }
        Add(machine, launch, name, instance.LaunchTime is { } at ? new DateTimeOffset(at.ToUniversalTime()) : _time.GetUtcNow());
        return true;
    }

    private Uri? EndpointOf(Instance instance)
    {
        if (_options.EndpointOf is { } of)
        {
            return of(instance);
        }
        var address = _options.UsePublicAddress ? instance.PublicIpAddress : instance.PrivateIpAddress;
        return string.IsNullOrEmpty(address) ? null : new UriBuilder(_options.WorkerScheme, address, _options.WorkerPort).Uri;
    }

    private void FollowWorker(Ec2Machine machine, Uri? endpoint)
    {
        if (endpoint is null || machine.Following is not null || machine.Offering is null)
        {
            return;
        }
        machine.Following = CancellationTokenSource.CreateLinkedTokenSource(_disposed.Token);
        var token = machine.Following.Token;
        _tasks.RemoveAll(t => t.IsCompleted);
        _tasks.Add(Task.Run(() => FollowWorkerAsync(machine, endpoint, token), CancellationToken.None));
    }

    private static void Unfollow(Ec2Machine machine)
    {
        machine.Following?.Cancel();
        machine.Following = null;
    }

    /// <summary>Waits until a machine's worker serves, and then until it does not any more.</summary>
    private async Task FollowWorkerAsync(Ec2Machine machine, Uri endpoint, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var health = await _probe.AskAsync(endpoint, cancellationToken).ConfigureAwait(false);
                if (health.IsWell)
                {
                    break;
                }
                if (health.IsDraining)
                {
                    Interrupt(machine.Id, health.EndsAt, "its worker says so.");
                }
                await Task.Delay(_options.ProbeInterval, _time, cancellationToken).ConfigureAwait(false);
            }
            OnServes(machine, endpoint);
            var why = await _probe.UntilGivenUpAsync(endpoint, endsAt => Interrupt(machine.Id, endsAt, "its worker says so."), cancellationToken).ConfigureAwait(false);
            AwsLog.GivenUp(_logger, machine.Id, endpoint, why);
        }
        catch (OperationCanceledException)
        {
            // It is stopped, or ended, or this host is.
            return;
        }
        await EndAsync(machine.Id).ConfigureAwait(false);
    }

    private void OnServes(Ec2Machine machine, Uri endpoint)
    {
        var market = machine.Offering!.Market.ToString();
        if (machine.AskedAt is { } asked)
        {
            var took = (_time.GetUtcNow() - asked).TotalSeconds;
            _timeToReady.Record(took, new("instance.type", machine.Type), new("offering", machine.Offering.Name), new("market", market));
            AwsLog.Serves(_logger, machine.Id, machine.Type, market, endpoint, took);
        }
        _machines.Change(machine.Id, before => before with { State = machine.IsInterrupted ? before.State : InstanceState.Running, Endpoint = endpoint });
    }

    private void Interrupt(string instanceId, DateTimeOffset? at, string why)
    {
        lock (_gate)
        {
            if (!_known.TryGetValue(instanceId, out var machine) || machine.IsInterrupted)
            {
                return;
            }
            machine.IsInterrupted = true;
        }
        AwsLog.Interrupted(_logger, instanceId, at, why);
        _machines.Change(instanceId, before => before with { State = InstanceState.Interrupting, InterruptedAt = at });
    }

    /// <summary>Ends a machine that is of no use, however often EC2 must be asked.</summary>
    private async Task EndAsync(string instanceId)
    {
        while (!_disposed.IsCancellationRequested)
        {
            try
            {
                await TerminateAsync(instanceId, _disposed.Token).ConfigureAwait(false);
                return;
            }
            catch (AwsRequestException e)
            {
                AwsLog.NotEnded(_logger, instanceId, e);
            }
            await Task.Delay(_options.PollInterval, _time, _disposed.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
