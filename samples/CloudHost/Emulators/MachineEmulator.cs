using System.Diagnostics;
using System.Globalization;
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;

namespace CloudHost.Emulators;

/// <summary>
/// Makes real workers of emulated machines: a process for each that is listed as running, at a loopback address that follows from the machine's own, and none for one that is stopped or gone. What user data
/// does on EC2.
/// </summary>
internal sealed class MachineEmulator : IAsyncDisposable
{
    private const int WorkerPort = 8000;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly IAmazonEC2 _client;
    private readonly string _owner;
    private readonly string _allowedSource;
    private readonly MetadataServer _metadata;
    private readonly Dictionary<string, EmulatorProcess> _workers = [];
    private readonly SemaphoreSlim _gate = new(1);
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _loop;

    private MachineEmulator(IAmazonEC2 client, string owner, string allowedSource, MetadataServer metadata)
    {
        (_client, _owner, _allowedSource, _metadata) = (client, owner, allowedSource, metadata);
        _loop = Task.Run(LoopAsync);
    }

    /// <param name="client">The emulated EC2; from now on the emulator's own.</param>
    /// <param name="owner">Whose machines it makes workers of.</param>
    /// <param name="allowedSource">What workers may load models from.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<MachineEmulator> StartAsync(IAmazonEC2 client, string owner, string allowedSource, CancellationToken cancellationToken = default) =>
        new(client, owner, allowedSource, await MetadataServer.StartAsync(cancellationToken));

    /// <summary>Where a machine's worker answers: 127.a.b.c for a machine at x.a.b.c.</summary>
    public static Uri? EndpointOf(Instance machine) => IPAddress.TryParse(machine.PrivateIpAddress, out var address)
        ? new UriBuilder(Uri.UriSchemeHttp, new IPAddress([127, .. address.GetAddressBytes()[1..]]).ToString(), WorkerPort).Uri
        : null;

    /// <summary>Takes a spot machine away, as EC2 does: with a notice first.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="notice">How long before; EC2 gives two minutes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task TakeAwayAsync(string machine, TimeSpan notice, CancellationToken cancellationToken)
    {
        _metadata.GiveNotice(machine, DateTimeOffset.UtcNow + notice);
        await Task.Delay(notice, cancellationToken);
        await TryKillAsync(machine);
        await _client.TerminateInstancesAsync(new TerminateInstancesRequest { InstanceIds = [machine] }, cancellationToken);
    }

    /// <summary>Ends a machine's worker and nothing else: EC2 lists the machine still.</summary>
    public async Task KillAsync(string machine, CancellationToken cancellationToken = default)
    {
        // It may serve already, and not be known here yet.
        while (!await TryKillAsync(machine))
        {
            await Task.Delay(Poll, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var worker in _workers.Values)
        {
            await worker.DisposeAsync();
        }
        await _metadata.DisposeAsync();
        _client.Dispose();
        _gate.Dispose();
        _ended.Dispose();
    }

    private async Task<bool> TryKillAsync(string machine)
    {
        await _gate.WaitAsync();
        try
        {
            var isKnown = _workers.TryGetValue(machine, out var worker);
            worker?.Kill();
            return isKnown;
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task LoopAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            var listed = await _client.DescribeInstancesAsync(new DescribeInstancesRequest { Filters = [new Filter("tag:mark-serving:owner", [_owner])] }, _ended.Token);
            var running = (listed.Reservations ?? []).SelectMany(r => r.Instances).Where(i => i.State.Name == InstanceStateName.Running).ToDictionary(i => i.InstanceId);
            await _gate.WaitAsync(_ended.Token);
            try
            {
                foreach (var gone in _workers.Keys.Where(id => !running.ContainsKey(id)).ToArray())
                {
                    await _workers[gone].DisposeAsync();
                    _workers.Remove(gone);
                }
            }
            finally
            {
                _gate.Release();
            }
            await Task.WhenAll(running.Values.Where(machine => !_workers.ContainsKey(machine.InstanceId)).Select(StartWorkerAsync));
            await Task.Delay(Poll, _ended.Token);
        }
    }

    private async Task StartWorkerAsync(Instance machine)
    {
        var endpoint = EndpointOf(machine)!;
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Worker.dll")]);
        start.Environment["ASPNETCORE_URLS"] = endpoint.AbsoluteUri;
        start.Environment["Worker__AllowedSources__0"] = _allowedSource;
        start.Environment["Worker__SpotNotice"] = (machine.InstanceLifecycle == InstanceLifecycleType.Spot).ToString();
        start.Environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = _metadata.AddressOf(machine.InstanceId).AbsoluteUri;
        start.Environment["DOTNET_TieredPGO"] = "0";
        var worker = await EmulatorProcess.StartAsync(start, new Uri(endpoint, "v2/health/live"), _ended.Token);
        await _gate.WaitAsync();
        try
        {
            _workers.Add(machine.InstanceId, worker);
        }
        finally
        {
            _gate.Release();
        }
    }
}
