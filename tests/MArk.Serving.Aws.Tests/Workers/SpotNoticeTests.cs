using MArk.Serving.Aws.Tests.Ec2;
using MArk.Serving.Aws.Workers;
using MArk.Serving.OpenInference;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws.Tests.Workers;

/// <summary>A worker learns from its machine's metadata that the machine is taken away, and drains.</summary>
public sealed class SpotNoticeTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Late = TimeSpan.FromMinutes(30);
    private static readonly DateTimeOffset At = new(2026, 1, 5, 12, 2, 0, TimeSpan.Zero);

    private sealed class Worker(MetadataStub stub) : IAsyncDisposable
    {
        private SpotNoticeWatch? _watch;

        public TestTime Time { get; } = new();

        public ServerDrain Drain { get; } = new();

        public LogList<SpotNoticeWatch> Log { get; } = new();

        /// <summary>Begins, and waits until the metadata were read once.</summary>
        public async Task StartAsync(Uri? endpoint = null)
        {
            _watch = new SpotNoticeWatch(Options.Create(new SpotNoticeOptions { Endpoint = endpoint ?? stub.Address, Interval = Interval, Timeout = Late }), Drain, Time, Log);
            await _watch.StartAsync(CancellationToken.None);
        }

        public Task ReadAsync() => Time.ArmedAsync(Interval);

        /// <summary>Lets the metadata be read once more.</summary>
        public async Task ReadAgainAsync()
        {
            await Time.PassAsync(Interval);
            await ReadAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _watch!.StopAsync(CancellationToken.None);
            Assert.True(_watch.ExecuteTask is { IsFaulted: false, IsCompleted: true });
            _watch.Dispose();
        }
    }

    [Fact]
    public async Task WithANoticeTheServerDrains()
    {
        await using var stub = await MetadataStub.StartAsync();
        await using var worker = new Worker(stub);
        await worker.StartAsync();
        await worker.ReadAsync();
        await worker.ReadAgainAsync();
        Assert.False(worker.Drain.HasBegun);
        stub.Notice = """{"action": "terminate", "time": "2026-01-05T12:02:00Z"}""";
        await worker.ReadAgainAsync();
        await worker.ReadAgainAsync();
        Assert.Equal((true, At), (worker.Drain.HasBegun, worker.Drain.EndsAt));
        // It is said once, and asked with one token.
        Assert.Single(worker.Log.Warnings);
        Assert.Equal(1, stub.Tokens);
        stub.Notice = """{"action": "stop", "time": "2026-01-05T12:03:00Z"}""";
        await worker.ReadAgainAsync();
        Assert.Equal(At.AddMinutes(1), worker.Drain.EndsAt);
    }

    [Fact]
    public async Task ATokenThatHasRunOutIsRenewed()
    {
        await using var stub = await MetadataStub.StartAsync();
        await using var worker = new Worker(stub);
        await worker.StartAsync();
        await worker.ReadAsync();
        stub.ExpireToken();
        stub.Notice = """{"action": "terminate", "time": "2026-01-05T12:02:00Z"}""";
        await worker.ReadAgainAsync();
        Assert.Equal(At, worker.Drain.EndsAt);
        Assert.Equal(3, stub.Tokens);
        Assert.DoesNotContain(worker.Log.Warnings, w => w.Contains("cannot be read", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(403, null)]
    [InlineData(500, null)]
    [InlineData(401, null)]
    [InlineData(null, "<html>")]
    [InlineData(null, "null")]
    [InlineData(null, """{"action": "hibernate"}""")]
    public async Task MetadataThatCannotBeReadAreSaidOnceAndReadAgain(int? status, string? notice)
    {
        await using var stub = await MetadataStub.StartAsync();
        (stub.Status, stub.Notice) = (status, notice);
        await using var worker = new Worker(stub);
        await worker.StartAsync();
        await worker.ReadAsync();
        await worker.ReadAgainAsync();
        Assert.Contains("Instance metadata cannot be read", Assert.Single(worker.Log.Warnings), StringComparison.Ordinal);
        Assert.False(worker.Drain.HasBegun);
        (stub.Status, stub.Notice) = (null, """{"action": "terminate", "time": "2026-01-05T12:02:00Z"}""");
        await worker.ReadAgainAsync();
        Assert.Equal(At, worker.Drain.EndsAt);
    }

    [Fact]
    public async Task WhereThereAreNoMetadataTheWorkerServesOn()
    {
        await using var stub = await MetadataStub.StartAsync();
        await using var worker = new Worker(stub);
        await worker.StartAsync(new Uri("http://127.0.0.1:9/"));
        await worker.ReadAsync();
        await worker.ReadAgainAsync();
        Assert.Contains("127.0.0.1:9", Assert.Single(worker.Log.Warnings), StringComparison.Ordinal);
        Assert.False(worker.Drain.HasBegun);
    }

    [Fact]
    public async Task MetadataThatDoNotAnswerAreNotWaitedForLonger()
    {
        await using var stub = await MetadataStub.StartAsync();
        var hold = new TaskCompletionSource();
        stub.Hold = hold.Task;
        await using var worker = new Worker(stub);
        await worker.StartAsync();
        await worker.Time.PassAsync(Late);
        await worker.ReadAsync();
        Assert.Contains("does not answer within 00:30:00", Assert.Single(worker.Log.Warnings), StringComparison.Ordinal);
        hold.SetResult();
    }

    [Fact]
    public async Task AWorkerWithTheNoticeAndItsOptionsChecked()
    {
        await using var stub = await MetadataStub.StartAsync();
        stub.Notice = """{"action": "terminate", "time": "2026-01-05T12:02:00Z"}""";
        var time = new TestTime();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<TimeProvider>(time).AddSingleton<ServerDrain>();
        builder.Services.AddSpotNotice(o => (o.Endpoint, o.Timeout) = (stub.Address, Late)).AddSpotNotice();
        using var host = builder.Build();
        await host.StartAsync();
        await time.ArmedAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(At, host.Services.GetRequiredService<ServerDrain>().EndsAt);
        Assert.Single(host.Services.GetServices<IHostedService>(), s => s is SpotNoticeWatch);
        await host.StopAsync();

        foreach (var (says, spoil) in new (string, Action<SpotNoticeOptions>)[]
        {
            ("SpotNoticeOptions.Endpoint is '/here'", o => o.Endpoint = new Uri("/here", UriKind.Relative)), ("SpotNoticeOptions.Interval is 00:00:00", o => o.Interval = TimeSpan.Zero),
            ("SpotNoticeOptions.Timeout is -00:00:01", o => o.Timeout = TimeSpan.FromSeconds(-1)),
        })
        {
            var other = Host.CreateEmptyApplicationBuilder(null);
            other.Services.AddSingleton<ServerDrain>().AddSpotNotice(spoil);
            using var bad = other.Build();
            var error = await Assert.ThrowsAsync<OptionsValidationException>(() => bad.StartAsync());
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
            Assert.Contains("accepted", error.Message, StringComparison.Ordinal);
        }
    }
}
