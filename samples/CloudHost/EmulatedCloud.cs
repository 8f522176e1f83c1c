using System.Globalization;
using Amazon.EC2;
using Amazon.EC2.Model;
using CloudHost.Emulators;
using MArk.Serving;
using MArk.Serving.Aws;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference;

namespace CloudHost;

/// <summary>EC2 and Lambda as emulators have them, on this machine, and the settings by which the host finds them.</summary>
internal sealed class EmulatedCloud : IAsyncDisposable
{
    private const string Template = "mark-serving-worker";
    private const string Section = $"MArk:Models:{Api.Model}";

    private readonly MotoServer _moto;
    private readonly IAmazonEC2 _client;
    private readonly MachineEmulator _machines;
    private readonly LoadedWorker _upstream;
    private readonly ServerlessOffline _functions;

    private EmulatedCloud(MotoServer moto, MachineEmulator machines, LoadedWorker upstream, ServerlessOffline functions, TimeSpan day)
    {
        (_moto, _machines, _upstream, _functions, _client) = (moto, machines, upstream, functions, moto.CreateClient());
        var dollars = TimeSpan.FromDays(1) / day;
        var lambda = new LambdaSpilloverOptions();
        var artifact = ModelArtifact.OfFile(Api.ModelFile, "1");
        Settings = new Dictionary<string, string?>
        {
            ["Cloud:Model:Uri"] = artifact.Uri.AbsoluteUri,
            ["Cloud:Model:Sha256"] = artifact.Sha256,
            [$"{Section}:Ec2:ServiceUrl"] = moto.Address.AbsoluteUri,
            [$"{Section}:Ec2:Region"] = MotoServer.Region,
            [$"{Section}:Lambda:ServiceUrl"] = functions.Address.AbsoluteUri,
            [$"{Section}:Lambda:Region"] = MotoServer.Region,
            [$"{Section}:Lambda:FunctionName"] = "forward",
            [$"{Section}:Lambda:PricePerCall"] = ((double)lambda.PricePerCall * dollars).ToString("F12", CultureInfo.InvariantCulture),
            [$"{Section}:Lambda:PricePerGbSecond"] = ((double)lambda.PricePerGbSecond * dollars).ToString("F12", CultureInfo.InvariantCulture),
        };
        // A second of the emulated day is billed as so many.
        foreach (var (index, price) in new[] { 0.0748, 0.17, 0.1664 }.Index())
        {
            Settings[$"{Section}:Ec2:Offerings:{index}:LaunchTemplateName"] = Template;
            Settings[$"{Section}:Ec2:Offerings:{index}:PricePerHour"] = (price * dollars).ToString(CultureInfo.InvariantCulture);
        }
    }

    /// <summary>What the host is told beside its own settings.</summary>
    public Dictionary<string, string?> Settings { get; }

    /// <summary>How long batches take on the device that the emulated machines stand in for, and a hundredth of which a worker is taken to need.</summary>
    public static LatencyProfile Device => Worker.Scale(100);

    private static LatencyProfile Worker => LatencyProfile.Linear(TimeSpan.FromMilliseconds(0.25), TimeSpan.FromMilliseconds(0.03), 32);

    public static async Task<EmulatedCloud> StartAsync(TimeSpan day, CancellationToken cancellationToken)
    {
        // The emulators take any; they are found as they would be on EC2.
        Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", "emulated");
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", "emulated");
        await using var started = new Started();
        var moto = started.Add(await MotoServer.StartAsync(cancellationToken));
        var client = moto.CreateClient();
        await MotoServer.CreateLaunchTemplateAsync(client, Template, cancellationToken);
        var machines = started.Add(await MachineEmulator.StartAsync(client, new Ec2Options().Owner, new Uri(Path.GetDirectoryName(Api.ModelFile)! + "/").AbsoluteUri, cancellationToken));
        var upstream = started.Add(await LoadedWorker.StartAsync(Api.Model, Api.ModelFile, cancellationToken));
        var functions = started.Add(await ServerlessOffline.StartAsync(upstream.Address, cancellationToken));
        started.Keep();
        return new EmulatedCloud(moto, machines, upstream, functions, day);
    }

    public void StandIn(ModelBuilder<float[], float[]> model, Ec2Options ec2)
    {
        ec2.UseEndpoint(MachineEmulator.EndpointOf);
        foreach (var offering in ec2.Offerings)
        {
            model.WithProfile(offering.Name, Worker);
        }
    }

    /// <summary>Takes a spot machine that runs away; waits for one if there is none.</summary>
    /// <returns>Which.</returns>
    public async Task<string> TakeSpotMachineAwayAsync(TimeSpan notice, CancellationToken cancellationToken)
    {
        while (true)
        {
            var spot = (await MachinesAsync(cancellationToken)).Find(m => m.InstanceLifecycle == InstanceLifecycleType.Spot);
            if (spot is not null)
            {
                await _machines.TakeAwayAsync(spot.InstanceId, notice, cancellationToken);
                return spot.InstanceId;
            }
            await Task.Delay(200, cancellationToken);
        }
    }

    /// <summary>The machines that are not ended.</summary>
    public async Task<List<Instance>> MachinesAsync(CancellationToken cancellationToken) =>
        [.. ((await _client.DescribeInstancesAsync(cancellationToken)).Reservations ?? []).SelectMany(r => r.Instances).Where(m => m.State.Name != InstanceStateName.Terminated && m.State.Name != InstanceStateName.ShuttingDown)];

    public async ValueTask DisposeAsync()
    {
        await _functions.DisposeAsync();
        await _upstream.DisposeAsync();
        await _machines.DisposeAsync();
        _client.Dispose();
        await _moto.DisposeAsync();
    }

    /// <summary>What was started so far: ended again if the rest does not start.</summary>
    private sealed class Started : IAsyncDisposable
    {
        private readonly Stack<IAsyncDisposable> _parts = new();

        public T Add<T>(T part) where T : IAsyncDisposable
        {
            _parts.Push(part);
            return part;
        }

        public void Keep() => _parts.Clear();

        public async ValueTask DisposeAsync()
        {
            while (_parts.TryPop(out var part))
            {
                await part.DisposeAsync();
            }
        }
    }
}
