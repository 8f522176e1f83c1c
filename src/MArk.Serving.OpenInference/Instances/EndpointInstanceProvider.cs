using MArk.Serving.Provisioning;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference.Instances;

/// <summary>
/// Servers that run already: a launched machine waits for one that is well and takes it, and its end leaves it to others. One that is not well any more is told of as gone; the machine that is launched
/// in its place takes it again when it is.
/// </summary>
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

    public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_machines.TryGetLaunch(request.LaunchId, out var before))
            {
                return new(before);
            }
            if (request.OfferingName != _options.OfferingName)
            {
                throw new InstanceLaunchException(request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there is: {_options.OfferingName}.");
            }
            if (_taken.Count >= _options.Endpoints.Count)
            {
                throw new InstanceLaunchException(request.OfferingName, LaunchFailure.QuotaExceeded, FormattableString.Invariant($"there are {_options.Endpoints.Count} endpoints, all in use or waited for."));
            }
            var machine = new InstanceDescriptor
            {
                Id = FormattableString.Invariant($"{request.Fleet}-{_options.OfferingName}-{++_next}"),
                LaunchId = request.LaunchId,
                OfferingName = request.OfferingName,
                State = InstanceState.Pending,
                BilledFrom = _time.GetUtcNow(),
            };
            _machines.Add(request.Fleet, machine);
            var taken = new Taken();
            _taken.Add(machine.Id, taken);
            taken.Watch = Task.Run(() => WatchAsync(machine.Id, taken), CancellationToken.None);
            return new(machine);
        }
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
        }
        _probe.Dispose();
    }

    /// <summary>Waits for an endpoint that is well and in nobody's use, and then until it is not well any more.</summary>
    private async Task WatchAsync(string instanceId, Taken taken)
    {
        try
        {
            var endpoint = await FindAsync(taken.Ended.Token).ConfigureAwait(false);
            taken.Endpoint = endpoint;
            _machines.Change(instanceId, machine => machine with { State = InstanceState.Running, Endpoint = endpoint });
            var why = await _probe.UntilGivenUpAsync(endpoint, endsAt => OnDrain(instanceId, endsAt), taken.Ended.Token).ConfigureAwait(false);
            OpenInferenceLog.InstanceGivenUp(_logger, instanceId, endpoint, why);
            End(instanceId);
        }
        catch (OperationCanceledException)
        {
            // It was given back.
        }
        finally
        {
            Release(taken.Endpoint);
        }
    }

    private void OnDrain(string instanceId, DateTimeOffset? endsAt) => _machines.Change(instanceId, machine => machine with { State = InstanceState.Interrupting, InterruptedAt = endsAt });

    private async Task<Uri> FindAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            foreach (var endpoint in _options.Endpoints)
            {
                if (TryHold(endpoint))
                {
                    var isWell = false;
                    try
                    {
                        isWell = (await _probe.AskAsync(endpoint, cancellationToken).ConfigureAwait(false)).IsWell;
                        if (isWell)
                        {
                            return endpoint;
                        }
                    }
                    finally
                    {
                        Release(isWell ? null : endpoint);
                    }
                }
            }
            await Task.Delay(_options.Health.Interval, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private bool TryHold(Uri endpoint)
    {
        lock (_gate)
        {
            return _inUse.Add(endpoint);
        }
    }

    private void Release(Uri? endpoint)
    {
        lock (_gate)
        {
            if (endpoint is not null)
            {
                _inUse.Remove(endpoint);
            }
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
            _machines.Change(instanceId, InstanceState.Terminated);
        }
        taken.Ended.Cancel();
    }

    private sealed class Taken
    {
        public Uri? Endpoint { get; set; }

        /// <summary>Not disposed of: whoever watches may still ask for its token, and it has no timer.</summary>
        public CancellationTokenSource Ended { get; } = new();

        public Task Watch { get; set; } = Task.CompletedTask;
    }
}
