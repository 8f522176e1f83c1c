using System.Diagnostics;
using System.Runtime.InteropServices;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference.Instances;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace MArk.Serving.OpenInference.Tests.Faults;

/// <summary>One of three real worker processes is killed, or stopped, under load.</summary>
public sealed class WorkerFaultTests
{
    private const int Kill = 9;
    private const int Continue = 18;
    private const int Stop = 19;

    private static readonly string ModelFile = Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx");

    [Fact]
    public async Task KilledAWorkerIsReplacedAndNothingIsLost()
    {
        await using var fleet = await Fleet.StartAsync();
        await using var load = fleet.Load();
        await load.GoOnAsync(300);
        fleet.Signal(0, Kill);
        await load.Until(() => load.Monitor.GetReport() is { ReadyInstances: 3, Cost.Launched: 4 });
        await load.GoOnAsync(300);
        await load.EndAsync(attainment: 0.99);
    }

    [Fact]
    public async Task StoppedAWorkerIsPassedOverAndUsedAgainWhenItGoesOn()
    {
        await using var fleet = await Fleet.StartAsync(maxFailures: 1000);
        await using var load = fleet.Load();
        await load.GoOnAsync(300);
        fleet.Signal(1, Stop);
        await load.Until(() => load.Monitor.GetReport().OutOfRotation == 1);
        await load.GoOnAsync(300);
        // Where it has been given up meanwhile, another is in its place.
        fleet.TrySignal(1, Continue);
        await load.Until(() => load.Monitor.GetReport() is { OutOfRotation: 0, ReadyInstances: 3 });
        await load.EndAsync(attainment: 0.99);
    }

    [Fact]
    public async Task StoppedForGoodAWorkerIsReplaced()
    {
        await using var fleet = await Fleet.StartAsync(maxFailures: 2);
        await using var load = fleet.Load();
        await load.GoOnAsync(300);
        var worker = fleet.ProcessIds[2];
        fleet.Signal(2, Stop);
        await load.Until(() => load.Monitor.GetReport() is { ReadyInstances: 3, Cost.Launched: 4 });
        await load.EndAsync(attainment: 0.99);
        Assert.False(Fleet.IsAlive(worker));
    }

    [Fact]
    public async Task WorkersEndWithTheirFleet()
    {
        int[] workers;
        await using (var fleet = await Fleet.StartAsync())
        {
            workers = fleet.ProcessIds;
            Assert.All(workers, worker => Assert.True(Fleet.IsAlive(worker)));
        }
        using var tooLong = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (Array.Exists(workers, Fleet.IsAlive))
        {
            await Task.Delay(5, tooLong.Token);
        }
    }

    [Fact]
    public async Task AProgramThatIsNotThereIsNamed()
    {
        await using var provider = new ProcessInstanceProvider([new ProcessOffering { FileName = "/nowhere/at-all" }], TimeProvider.System, NullLogger.Instance);
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await provider.LaunchAsync(new LaunchRequest("1", "f", "process"), CancellationToken.None));
        Assert.Equal(LaunchFailure.Misconfigured, error.Failure);
        Assert.Contains("/nowhere/at-all", error.Message, StringComparison.Ordinal);
    }

    /// <summary>A host whose model runs on three worker processes.</summary>
    private sealed class Fleet : IAsyncDisposable
    {
        private readonly IHost _host;
        private readonly ProcessInstanceProvider _provider;

        private Fleet(IHost host, ProcessInstanceProvider provider)
        {
            (_host, _provider) = (host, provider);
        }

        public int[] ProcessIds { get; private set; } = [];

        public static async Task<Fleet> StartAsync(int maxFailures = 5)
        {
            var provider = new ProcessInstanceProvider(
                [
                    new ProcessOffering
                    {
                        FileName = "dotnet",
                        Arguments = [Path.Combine(AppContext.BaseDirectory, "Worker.dll")],
                        Environment = new Dictionary<string, string>
                        {
                            ["ASPNETCORE_URLS"] = "http://127.0.0.1:{port}",
                            ["Worker__AllowedSources__0"] = new Uri(Path.GetDirectoryName(ModelFile)! + "/").AbsoluteUri,
                            ["Worker__ApiKey"] = "secret",
                        },
                        Health = new HealthOptions { Path = "v2/health/live", Interval = TimeSpan.FromMilliseconds(200), Timeout = TimeSpan.FromSeconds(2), MaxFailures = maxFailures },
                    },
                ],
                TimeProvider.System, NullLogger.Instance);
            var builder = Host.CreateEmptyApplicationBuilder(null);
            builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
                .UseOpenInference(new OpenInferenceOptions { Model = "digits", Artifact = ModelArtifact.OfFile(ModelFile, "1"), ApiKey = "secret" })
                .UseInstanceProvider(_ => provider)
                .UsePlanner(_ => new StaticPlanner(3))
                .WithSlo(TimeSpan.FromSeconds(2))
                // Fewer than there are callers: in batches they might keep two of the workers busy, and the third would have nothing to fail at.
                .WithOptions(o => o.MaxBatchSize = 1));
            var host = builder.Build();
            await host.StartAsync();
            var fleet = new Fleet(host, provider);
            await using (var load = fleet.Load())
            {
                await load.Until(() => load.Monitor.GetReport().ReadyInstances == 3);
            }
            fleet.ProcessIds = [.. (await provider.ListAsync("digits", CancellationToken.None)).Select(i => provider.ProcessOf(i.Id)!.Value)];
            return fleet;
        }

        public Load<float[], float[]> Load() => new(_host, "digits", callers: 4, _ => new float[64], (_, scores) => scores.Length == 10);

        public void Signal(int worker, int signal) => Assert.True(TrySignal(worker, signal));

        public bool TrySignal(int worker, int signal) => SendSignal(ProcessIds[worker], signal) == 0;

        public static bool IsAlive(int process)
        {
            try
            {
                using var found = Process.GetProcessById(process);
                return !found.HasExited;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _host.StopAsync();
            _host.Dispose();
            await _provider.DisposeAsync();
        }

        [DllImport("libc", EntryPoint = "kill")]
        private static extern int SendSignal(int process, int signal);
    }
}
