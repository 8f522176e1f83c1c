using MArk.Serving.Provisioning;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference.Instances;

/// <summary>Servers that run already: a launch takes one that is well, and its end leaves it to others. One that is not well any more is told of as gone, and is launched again when it is.</summary>
internal sealed class EndpointInstanceProvider : IInstanceProvider, IAsyncDisposable
{
    private readonly EndpointsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly HealthProbe _probe;
    private readonly InstanceRegister _machines = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Taken> _taken = [];
    private readonly HashSet<Uri> _inUse = [];
    private int _next;

    public EndpointInstanceProvider(EndpointsOptions options, TimeProvider time, ILogger logger)
    {
        options.Check();
        (_options, _time, _logger) = (options, time, logger);
        _probe = new HealthProbe(options.Health, time);
        Offerings = [new InstanceOffering { Name = options.OfferingName, PricePerHour = options.PricePerHour, MaxInstances = options.Endpoints.Count }];
    }

    public IReadOnlyList<InstanceOffering> Offerings { get; }

    public async ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        if (_machines.TryGetLaunch(request.LaunchId, out var before))
        {
            return before;
        }
        if (request.OfferingName != _options.OfferingName)
        {
            throw new InstanceLaunchException(request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there is: {_options.OfferingName}.");
        }
        var why = new List<string>();
        foreach (var endpoint in _options.Endpoints)
        {
            if (!TryHold(endpoint))
            {
                continue;
            }
            string? wrong = "the call was given up";
            try
            {
                wrong = await _probe.AskAsync(endpoint, cancellationToken).ConfigureAwait(false);
                if (wrong is null)
                {
                    return Take(request, endpoint);
                }
                why.Add($"{endpoint}: {wrong}");
            }
            finally
            {
                if (wrong is not null)
                {
                    Release(endpoint);
                }
            }
        }
        throw new InstanceLaunchException(
            request.OfferingName, LaunchFailure.InsufficientCapacity, why.Count == 0 ? $"all {_options.Endpoints.Count} endpoints are in use." : $"no endpoint that is not in use is well: {string.Join("; ", why)}.");
    }

    public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        End(instanceId);
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => new(_machines.List(fleet));

    public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => _machines.WatchAsync(fleet, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        Taken[] left;
        lock (_gate)
        {
            left = [.. _taken.Values];
            _taken.Clear();
        }
        foreach (var taken in left)
        {
            await taken.Ended.CancelAsync().ConfigureAwait(false);
            await taken.Watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            taken.Ended.Dispose();
        }
        _probe.Dispose();
    }

    private bool TryHold(Uri endpoint)
    {
        lock (_gate)
        {
            return _inUse.Add(endpoint);
        }
    }

    private void Release(Uri endpoint)
    {
        lock (_gate)
        {
            _inUse.Remove(endpoint);
        }
    }

    private InstanceDescriptor Take(LaunchRequest request, Uri endpoint)
    {
        var machine = new InstanceDescriptor
        {
            Id = FormattableString.Invariant($"{endpoint.Authority}-{Interlocked.Increment(ref _next)}"),
            LaunchId = request.LaunchId,
            OfferingName = request.OfferingName,
            State = InstanceState.Running,
            BilledFrom = _time.GetUtcNow(),
            Endpoint = endpoint,
        };
        var ended = new CancellationTokenSource();
        lock (_gate)
        {
            _machines.Add(request.Fleet, machine);
            _taken.Add(machine.Id, new Taken(endpoint, ended, WatchAsync(machine.Id, endpoint, ended.Token)));
        }
        return machine;
    }

    private async Task WatchAsync(string instanceId, Uri endpoint, CancellationToken cancellationToken)
    {
        try
        {
            var why = await _probe.UntilGivenUpAsync(endpoint, cancellationToken).ConfigureAwait(false);
            OpenInferenceLog.InstanceGivenUp(_logger, instanceId, endpoint, why);
            End(instanceId);
        }
        catch (OperationCanceledException)
        {
            // It was given back.
        }
    }

    private void End(string instanceId)
    {
        Taken? taken;
        lock (_gate)
        {
            if (!_taken.Remove(instanceId, out taken))
            {
                return;
            }
            _inUse.Remove(taken.Endpoint);
            _machines.Change(instanceId, InstanceState.Terminated);
        }
        taken.Ended.Cancel();
    }

    private sealed record Taken(Uri Endpoint, CancellationTokenSource Ended, Task Watch);
}
