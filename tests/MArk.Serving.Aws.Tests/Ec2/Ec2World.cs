using System.Diagnostics.Metrics;
using Amazon.EC2;
using Amazon.Runtime;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>A stub of EC2, time, and providers that speak to the stub by AWS's own SDK.</summary>
internal sealed class Ec2World : IAsyncDisposable
{
    public const string Fleet = "digits";

    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan Probe = TimeSpan.FromSeconds(1);

    private readonly List<Ec2InstanceProvider> _providers = [];
    private readonly List<CancellationTokenSource> _watches = [];
    private readonly Meter _meter = new("MArk.Serving.Aws.Tests");

    private Ec2World(Ec2Stub stub) => Stub = stub;

    public Ec2Stub Stub { get; }

    public TestTime Time { get; } = new();

    public LogList<Ec2World> Log { get; } = new();

    public Meter Meter => _meter;

    public static async Task<Ec2World> StartAsync() => new(await Ec2Stub.StartAsync());

    public static Ec2Offering OnDemand(string name = "c5.large", params string[] types) => Offering(name, InstanceMarket.OnDemand, types);

    public static Ec2Offering Standby(string name = "standby") => Offering(name, InstanceMarket.Standby, "c5.large");

    public static Ec2Offering Spot(string name = "spot", params string[] types) => Offering(name, InstanceMarket.Spot, types.Length == 0 ? ["c5.large"] : types);

    public static Ec2Offering SpotByFleet(params string[] types)
    {
        var offering = Spot("spot", types);
        (offering.ImageId, offering.LaunchTemplateName) = (null, "workers");
        return offering;
    }

    /// <summary>A client of the stub that tries once.</summary>
    public static AmazonEC2Client ClientOf(Uri address, int retries = 0, string region = "us-east-1", TimeSpan? timeout = null) => new(
        new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
        new AmazonEC2Config { ServiceURL = address.AbsoluteUri, AuthenticationRegion = region, MaxErrorRetry = retries, RetryMode = RequestRetryMode.Standard, Timeout = timeout ?? TimeSpan.FromMinutes(1) });

    public static LaunchRequest Launch(string id, string offering = "c5.large", string fleet = Fleet) => new(id, fleet, offering);

    public Ec2Options Options(params Ec2Offering[] offerings)
    {
        var options = new Ec2Options
        {
            Owner = "tests",
            PollInterval = Poll,
            ProbeInterval = Probe,
            // Probes are not late because the test lets time pass.
            ProbeTimeout = TimeSpan.FromHours(5),
            MaxProbeFailures = 3,
        };
        options.Offerings.AddRange(offerings.Length == 0 ? [OnDemand()] : offerings);
        return options.UseClient(() => ClientOf(Stub.Address)).UseEndpoint(instance => Stub.WorkerOf(instance.InstanceId));
    }

    /// <summary>A provider: as a host has after its start, another each time.</summary>
    public Ec2InstanceProvider Provider(params Ec2Offering[] offerings) => Provider(Options(offerings));

    public Ec2InstanceProvider Provider(Ec2Options options)
    {
        var provider = new Ec2InstanceProvider(options, Fleet, Time, Log, _meter);
        _providers.Add(provider);
        return provider;
    }

    /// <summary>The changes of the fleet from now on.</summary>
    public Watch WatchOf(Ec2InstanceProvider provider, string fleet = Fleet)
    {
        var ended = new CancellationTokenSource();
        _watches.Add(ended);
        return new Watch(provider.WatchAsync(fleet, ended.Token).GetAsyncEnumerator());
    }

    /// <summary>Lets EC2 be asked once more, and waits until what it says is taken in.</summary>
    public async Task PollAsync()
    {
        await Time.PassAsync(Poll);
        await Time.ArmedAsync(Poll);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var watch in _watches)
        {
            await watch.CancelAsync();
            watch.Dispose();
        }
        foreach (var provider in _providers)
        {
            await provider.DisposeAsync();
        }
        await Stub.DisposeAsync();
        _meter.Dispose();
    }

    private static Ec2Offering Offering(string name, InstanceMarket market, params string[] types)
    {
        var offering = new Ec2Offering { Name = name, Market = market, ImageId = "ami-1", PricePerHour = 0.1m };
        offering.InstanceTypes.AddRange(types.Length == 0 ? ["c5.large"] : types);
        return offering;
    }

    /// <summary>What a watch tells.</summary>
    internal sealed class Watch(IAsyncEnumerator<InstanceDescriptor> changes)
    {
        // It is begun at once, as a watch tells what changes from then on.
        private Task<bool> _next = changes.MoveNextAsync().AsTask();

        /// <summary>The next change, of those that are in a state.</summary>
        public async Task<InstanceDescriptor> NextAsync(InstanceState state)
        {
            while (true)
            {
                Assert.True(await _next.WaitAsync(TimeSpan.FromSeconds(30)), "the watch has ended");
                var change = changes.Current;
                _next = changes.MoveNextAsync().AsTask();
                if (change.State == state)
                {
                    return change;
                }
            }
        }
    }
}
