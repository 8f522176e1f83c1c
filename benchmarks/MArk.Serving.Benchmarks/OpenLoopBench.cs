using System.Globalization;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks;

/// <summary>What the verbs with an open-loop load share: the model, its raw capacity, the generator, and how capacity is checked around a run.</summary>
internal sealed class OpenLoopBench : IDisposable
{
    public const int MaxBatch = 32;

    // Half a second of the same bare loop differs by 2 to 3 percent from the next on a shared machine.
    public const double CapacitySeconds = 2;

    // How often a run is made before its capacity is said not to settle.
    private const int MaxAttempts = 4;

    private readonly RawCapacity _raw;
    private readonly OpenLoop _loop;
    private readonly DroppingServer _nothing = new();
    private readonly StallWatch _stalls = new();
    private readonly InstanceCoresKeeper _cores;
    private readonly double _capacitySeconds;
    private readonly double _warmUpSeconds;
    private readonly int _maxAttempts;
    private double _generatorP99Ms;

    private OpenLoopBench(Arguments arguments)
    {
        Model = BenchmarkModel.Open(arguments.Text("--model"));
        Slo = TimeSpan.FromMilliseconds(arguments.Number("--slo-ms"));
        Seconds = arguments.Number("--seconds");
        var instances = arguments.Integer("--instances");
        _capacitySeconds = Math.Min(CapacitySeconds, Seconds);
        _warmUpSeconds = Math.Min(0.5, Seconds / 2);
        _maxAttempts = arguments.Quick ? 1 : MaxAttempts;
        _cores = new InstanceCoresKeeper(Model, instances);
        _raw = new RawCapacity(Model, instances, MaxBatch);
        _loop = new OpenLoop(Model.Inputs);
        Servers = new ServerSet(Model, instances, MaxBatch, Slo);
        R0 = _raw.FindBest(Math.Min(0.5, Seconds / 4), rounds: 5);
        Console.WriteLine(Format.Machine());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Model.Name}, batches of up to {MaxBatch}, {instances} instance(s) of 1 thread, objective {Slo.TotalMilliseconds} ms; Poisson arrivals, runs of {Seconds} s after {_warmUpSeconds} s"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"R0, the raw capacity with the generator idle: {R0:N0} requests/s, in batches of {_raw.Batch}"));
    }

    public BenchmarkModel Model { get; }

    public TimeSpan Slo { get; }

    public double Seconds { get; }

    public ServerSet Servers { get; }

    /// <summary>The raw capacity with the generator idle, requests per second, as measured last.</summary>
    public double R0 { get; private set; }

    /// <summary>How much of the time the machine was stalled.</summary>
    public double StalledShare => _stalls.StalledShare;

    public static Option[] Options(double seconds, params string[] models) =>
    [
        Option.Choice("--model", "mlp", models),
        Option.Number("--slo-ms", 20, 1, 60_000),
        Option.Number("--seconds", seconds, 0.05, 3600, quick: 0.1),
        Option.Integer("--instances", 1, 1, Environment.ProcessorCount),
    ];

    public static OpenLoopBench Start(Arguments arguments) => new(arguments);

    public async Task<LoadResult> ServeAsync(IServer server, double rate, int seed, double? seconds = null)
    {
        var result = await _loop.RunAsync(server, new PoissonArrivals(rate, _warmUpSeconds, seconds ?? Seconds, seed), Slo);
        _generatorP99Ms = Math.Max(_generatorP99Ms, result.GeneratorP99Ms);
        return result;
    }

    /// <summary>Lets a server meet its first load unmeasured, as the run-time compiles what is called often while it is called.</summary>
    public async Task WarmUpAsync(params IEnumerable<IServer> servers)
    {
        foreach (var server in servers)
        {
            await WarmUpAsync(0.5, server);
        }
    }

    /// <summary>Lets a server meet its first load, in multiples of the raw capacity, unmeasured.</summary>
    public Task WarmUpAsync(double load, IServer server) => ServeAsync(server, load * R0, seed: 0);

    /// <summary>
    /// Runs under a multiple of the raw capacity, which is measured anew for it, as a machine that is shared has another speed after a while; between two measurements of the
    /// capacity beside the generator, and again if that drifted.
    /// </summary>
    /// <param name="load">The load, in multiples of the raw capacity.</param>
    /// <param name="seed">The seed of the generator that the capacity is measured beside.</param>
    /// <param name="run">What runs, given the rate.</param>
    /// <param name="last">The capacity after the run just before, if there was one under the same load: it is the one before this.</param>
    public Task<SettledRun<T>> MeasureSettledAsync<T>(double load, int seed, Func<double, Task<T>> run, BareRun? last = null) =>
        SettledRun<T>.MeasureAsync(
            () => load * MeasureR0(), rate => CapacityBesideAsync(rate, seed), run, _maxAttempts, last);

    /// <summary>
    /// The share of a run's load that an ideal server (<see cref="BareRun.IdealShare"/>) would have answered within the objective in the bare loop's place: the mean of before and after the run. A machine
    /// that stalls lowers it.
    /// </summary>
    public double IdealShare<T>(SettledRun<T> run, int seed)
    {
        var due = new PoissonArrivals(run.Rate, 0, _capacitySeconds, seed).Due;
        return (run.Before.IdealShare(due, Slo) + run.After.IdealShare(due, Slo)) / 2;
    }

    /// <summary>The server whose window gets the most requests within the objective at a rate; of equals the one of the lower p99.</summary>
    public Task<(IServer Server, TimeSpan Window)> BestWindowAsync(WindowSearch search, double rate) => search.BestAsync(async server =>
    {
        var result = await ServeAsync(server, rate, seed: 0);
        return (Math.Round(result.Share, 3), -result.P99Ms);
    });

    /// <summary>Says what the machine did meanwhile, and how late the generator was at worst: the highest 99th percentile of a run.</summary>
    public string Conditions() => string.Create(CultureInfo.InvariantCulture, $"{_stalls} The generator was at most {_generatorP99Ms:N2} ms late (99th percentile of the worst run).");

    public void Dispose()
    {
        _stalls.Dispose();
        _cores.Dispose();
        _raw.Dispose();
        Model.Dispose();
    }

    private double MeasureR0() => R0 = _raw.Measure(_capacitySeconds).Rate;

    /// <summary>The bare loop beside a generator of a rate whose requests are dropped.</summary>
    private async Task<BareRun> CapacityBesideAsync(double rate, int seed)
    {
        const double Margin = 0.05;     // the generator is at work before the bare loop and after it
        var arrivals = new PoissonArrivals(rate, Margin, RawCapacity.WarmUp(_capacitySeconds) + _capacitySeconds + Margin, seed);
        var generator = _loop.RunAsync(_nothing, arrivals, Slo);
        await Task.Delay(TimeSpan.FromSeconds(Margin));
        var capacity = await Task.Run(() => _raw.Measure(_capacitySeconds));
        await generator;
        return capacity;
    }
}
