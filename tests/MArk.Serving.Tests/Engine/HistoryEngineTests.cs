using System.Collections.Concurrent;
using System.Security.Cryptography;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Tests.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Engine;

/// <summary>A host that stops and starts again goes on with what it had counted, and no store can keep it from serving.</summary>
public sealed class HistoryEngineTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly string _directory = Directory.CreateTempSubdirectory("history-").FullName;
    private readonly FileArrivalHistoryStore _files;
    private FakeTimeProvider _time = new(Noon);
    private Recorder _predictor = new();

    public HistoryEngineTests() => _files = new FileArrivalHistoryStore(_directory);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    internal static LatencyProfile Profile => LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 32);

    internal static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    /// <summary>Gives up after a minute, which fails the test.</summary>
    internal static async Task UntilAsync(Func<bool> condition)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!condition())
        {
            giveUp.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private Action<ModelBuilder<int, int>> Fleet(Action<ModelBuilder<int, int>> keep) => m =>
    {
        m.Services.AddSingleton<TimeProvider>(_time);
        m.UseBatchFunction(Double).WithProfile("o", Profile).WithSlo(TimeSpan.FromMinutes(10))
            .UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(1)).UsePredictor(_ => _predictor);
        keep(m);
    };

    private Task<ServingHost> StartAsync(IArrivalHistoryStore? store) => ServingHost.StartAsync(Fleet(m => m.UseArrivalHistoryStore(_ => store)));

    private Task<ServingHost> StartAsync() => ServingHost.StartAsync(Fleet(m => m.KeepArrivalHistory(_directory)));

    /// <summary>Another process, some time later.</summary>
    private void Restart(DateTimeOffset now)
    {
        _time = new FakeTimeProvider(now);
        _predictor = new Recorder();
    }

    /// <summary>Serves so many requests in each of the next slots of 5 s.</summary>
    private async Task ServeAsync(ServingHost host, params int[] slots)
    {
        foreach (var count in slots)
        {
            for (var i = 0; i < count; i++)
            {
                Assert.Equal(2 * i, await host.Client.InferAsync(i));
            }
            _time.Advance(TimeSpan.FromSeconds(5));
        }
    }

    private ArrivalHistory Stored(string model = "m") => ArrivalHistory.FromBytes(File.ReadAllBytes(_files.PathOf(model)));

    private string[] Files => [.. Directory.GetFiles(_directory).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];

    private static ArrivalHistory Minutes(DateTimeOffset from, int count)
    {
        var history = new ArrivalHistory();
        for (var i = 0; i < count; i++)
        {
            history.Add(new ArrivalSample(from.AddMinutes(i), Minute, i + 1));
        }
        return history;
    }

    [Fact]
    public async Task ARestartKeepsThePattern()
    {
        await using (var host = await StartAsync())
        {
            await ServeAsync(host, [.. Enumerable.Repeat(1, 11), 4, .. Enumerable.Repeat(0, 12), 2, 3]);
            Assert.Empty(_predictor.Past);
        }
        Assert.Equal(["arrivals-m.history"], Files);
        Restart(Noon.AddHours(3));
        await using (var host = await StartAsync())
        {
            // What was there came before the first forecast; what was not counted in between is not there.
            Assert.Equal([new ArrivalSample(Noon, Minute, 15) { PeakRate = 4 / 5.0 }, new(Noon.AddMinutes(1), Minute, 0)], _predictor.Past);
            await ServeAsync(host, Enumerable.Repeat(2, 12).ToArray());
            Assert.Empty(host.Log.Errors);
        }
        Restart(Noon.AddDays(1));
        await using (var host = await StartAsync())
        {
            Assert.Equal([(Noon, 15L), (Noon.AddMinutes(1), 0L), (Noon.AddHours(3), 24L)], _predictor.Past.Select(s => (s.Start, s.Count)));
            Assert.Empty(host.Log.Errors);
        }
    }

    [Fact]
    public async Task ARestartWithinAMinuteGoesOnWithTheMinute()
    {
        await using (var host = await StartAsync())
        {
            await ServeAsync(host, 1, 1, 1, 1, 1);
        }
        Restart(Noon.AddSeconds(27));
        await using (var host = await StartAsync())
        {
            // The slot in which it started is not counted.
            await ServeAsync(host, 9);
            _time.Advance(TimeSpan.FromSeconds(-2 + 5));
            await ServeAsync(host, 1, 1, 1, 1, 1);
            Assert.Empty(_predictor.Past);
            Assert.Empty(host.Log.Errors);
        }
        Assert.Equal(Noon.AddMinutes(1), Stored().End);
        Assert.Equal(Noon, Assert.Single(Stored().Samples()).Start);
    }

    [Fact]
    public async Task ItIsSavedNowAndThenNotOnlyAtTheStop()
    {
        await using var host = await StartAsync();
        await ServeAsync(host, 5);
        _time.Advance(TimeSpan.FromMinutes(5));
        await UntilAsync(() => File.Exists(_files.PathOf("m")));
        Assert.Equal(5, Stored().Samples().Sum(s => s.Count));
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task NothingIsWrittenUnlessTheHostGaveAPlace()
    {
        await using (var host = await ServingHost.StartAsync(Fleet(_ => { })))
        {
            await ServeAsync(host, 3, 3);
        }
        await using (var host = await StartAsync(store: null))
        {
            await ServeAsync(host, 3, 3);
            Assert.Empty(host.Log.Errors);
        }
        Assert.Empty(Files);
    }

    [Fact]
    public async Task TheDirectoryMayComeFromConfiguration()
    {
        await using (var host = await ServingHost.StartAsync(
            Fleet(_ => { }), new() { ["MArk:Models:m:Fleet:HistoryDirectory"] = _directory, ["MArk:Models:m:Fleet:HistorySaveInterval"] = "01:00:00" }))
        {
            await ServeAsync(host, 3, 3);
        }
        Assert.Equal(["arrivals-m.history"], Files);
    }

    [Fact]
    public async Task AFileThatIsDamagedIsKeptAsideAndSaidAndServingBeginsAnewEachTime()
    {
        for (var time = 1; time <= 2; time++)
        {
            var bytes = Minutes(Noon.AddDays(-1), 10 * time).ToBytes();
            bytes[^40] ^= 1;
            await _files.SaveAsync("m", bytes, default);
            var aside = $"{_files.PathOf("m")}.aside-{time}";
            await using (var host = await StartAsync())
            {
                var error = Assert.IsType<ArrivalHistoryException>(Assert.Single(host.Log.Errors));
                Assert.Equal(("m", aside), (error.ModelName, error.KeptAsideAt));
                Assert.Contains(aside, error.Message);
                Assert.IsType<ArrivalHistoryFormatException>(error.InnerException);
                Assert.Empty(_predictor.Past);
                await ServeAsync(host, 1, 1);
            }
            Assert.Equal(bytes, await File.ReadAllBytesAsync(aside));
            Assert.Equal(1, Stored().Minutes);
            Restart(Noon.AddHours(time));
        }
        Assert.Equal(["arrivals-m.history", "arrivals-m.history.aside-1", "arrivals-m.history.aside-2"], Files);
    }

    [Fact]
    public async Task AFileOfAnotherVersionIsKeptAsideAndSaid()
    {
        var bytes = Minutes(Noon.AddDays(-1), 10).ToBytes();
        bytes[8] = 0;
        SHA256.HashData(bytes.AsSpan(0, bytes.Length - 32)).CopyTo(bytes, bytes.Length - 32);
        await _files.SaveAsync("m", bytes, default);
        await using var host = await StartAsync();
        Assert.Contains("is of version 0 of the format; accepted: 1", Assert.Single(host.Log.Errors).Message);
        Assert.Equal(["arrivals-m.history.aside-1"], Files);
        Assert.Equal(6, await host.Client.InferAsync(3));
    }

    [Fact]
    public async Task WhatReachesIntoTheFutureIsCutAndTheWholeIsKeptAside()
    {
        // Ten minutes of yesterday, and two that a wrong clock dated 2099.
        var history = Minutes(Noon.AddDays(-1), 10);
        history.Append(Minutes(Noon.AddYears(73), 2));
        await _files.SaveAsync("m", history.ToBytes(), default);
        await using (var host = await StartAsync())
        {
            var error = Assert.IsType<ArrivalHistoryException>(Assert.Single(host.Log.Errors));
            Assert.Contains("reaches until 2099-01-01T12:02:00", error.Message);
            Assert.Contains("the clock says 2026-01-01T12:00:00", error.Message);
            Assert.Equal(Minutes(Noon.AddDays(-1), 10).Samples(), _predictor.Past);
            await ServeAsync(host, Enumerable.Repeat(1, 12).ToArray());
            Assert.Single(host.Log.Errors);
        }
        Assert.Equal(history.ToBytes(), await File.ReadAllBytesAsync($"{_files.PathOf("m")}.aside-1"));
        Assert.Equal(11, Stored().Minutes);
    }

    [Fact]
    public async Task AClockThatIsFarBackAtTheStartLosesNothing()
    {
        var history = Minutes(Noon.AddDays(-1), 10).ToBytes();
        await _files.SaveAsync("m", history, default);
        Restart(new DateTimeOffset(1970, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using (var host = await StartAsync())
        {
            Assert.Empty(_predictor.Past);
            Assert.Equal($"{_files.PathOf("m")}.aside-1", Assert.IsType<ArrivalHistoryException>(Assert.Single(host.Log.Errors)).KeptAsideAt);
            await ServeAsync(host, 1, 1);
        }
        Assert.Equal(history, await File.ReadAllBytesAsync($"{_files.PathOf("m")}.aside-1"));
    }

    [Fact]
    public async Task AClockThatWasSetBackByLessThanAMinuteCostsThatMinuteAlone()
    {
        var history = Minutes(Noon.AddMinutes(-10), 10);
        history.Add(new ArrivalSample(Noon, TimeSpan.FromSeconds(30), 100));
        await _files.SaveAsync("m", history.ToBytes(), default);
        Restart(Noon.AddSeconds(10));
        await using (var host = await StartAsync())
        {
            await ServeAsync(host, Enumerable.Repeat(1, 10).ToArray());
            Assert.Equal(10, _predictor.Past.Count);
            Assert.Empty(host.Log.Errors);
        }
        Assert.Equal(["arrivals-m.history"], Files);
        Assert.Equal(12, Stored().Samples().Last().Count);
    }

    [Fact]
    public async Task AClockThatIsSetBackWhileTheHostRunsChangesNothing()
    {
        var clock = new SteppedClock(Noon);
        _time = clock;
        await using (var host = await StartAsync())
        {
            await ServeAsync(host, Enumerable.Repeat(1, 12).ToArray());
            clock.Step = TimeSpan.FromDays(-3);
            await ServeAsync(host, Enumerable.Repeat(2, 12).ToArray());
            Assert.Empty(host.Log.Errors);
        }
        // Slots are counted by a clock that only goes on.
        Assert.Equal([(Noon, 12L), (Noon.AddMinutes(1), 24L)], Stored().Samples().Select(s => (s.Start, s.Count)));
    }

    [Fact]
    public async Task AStoreThatCannotBeReadIsNotOverwrittenAndWhatItHasIsTakenUpWhenItCan()
    {
        var store = new ScriptedStore { Bytes = Minutes(Noon.AddDays(-1), 10).ToBytes(), OnLoad = new IOException("no such share") };
        await using (var host = await StartAsync(store))
        {
            Assert.Contains("it is tried again before anything is saved: no such share", Assert.Single(host.Log.Errors).Message);
            Assert.Empty(_predictor.Past);
            await ServeAsync(host, Enumerable.Repeat(1, 12).ToArray());
            _time.Advance(TimeSpan.FromMinutes(5));
            await UntilAsync(() => host.Log.Errors.Count == 2);
            Assert.Equal(0, store.Saves);
            store.OnLoad = null;
        }
        var stored = ArrivalHistory.FromBytes(store.Bytes);
        Assert.Equal(Minutes(Noon.AddDays(-1), 10).Samples(), stored.Samples().Take(10));
        Assert.Equal((Noon, 12), (stored.Samples().ElementAt(10).Start, stored.Samples().ElementAt(10).Count));
    }

    [Fact]
    public async Task AStoreThatCannotSaveIsReportedTriedAgainAndStopsNothing()
    {
        var store = new ScriptedStore { OnSave = new IOException("No space left on device") };
        await using (var host = await StartAsync(store))
        {
            await ServeAsync(host, 3, 3);
            _time.Advance(TimeSpan.FromMinutes(5));
            await UntilAsync(() => host.Log.Errors.Any(e => e is ArrivalHistoryException && e.Message.Contains("it is tried again with the next save: No space left on device")));
            Assert.Equal(8, await host.Client.InferAsync(4));
            store.OnSave = null;
        }
        Assert.Equal(6, ArrivalHistory.FromBytes(store.Bytes).Samples().First().Count);
    }

    [Fact]
    public async Task WhatCannotBeSetAsideIsNotOverwritten()
    {
        var store = new ScriptedStore { Bytes = [1, 2, 3], OnSetAside = new UnauthorizedAccessException("read-only") };
        await using (var host = await StartAsync(store))
        {
            Assert.Contains("could not set it aside; until it can, nothing is saved: read-only", Assert.Single(host.Log.Errors).Message);
            await ServeAsync(host, 3, 3);
        }
        Assert.Equal([1, 2, 3], store.Bytes!);
        Assert.Equal(0, store.Saves);
    }

    [Fact]
    public async Task AStoreThatNeverAnswersHoldsUpTheStartAndTheStopForSecondsOnly()
    {
        var store = new ScriptedStore { Hangs = true };
        // The clock runs on without looking: nothing else may wait for the time.
        var starting = Task.Run(() => ServingHost.StartAsync(Fleet(m => m.UseArrivalHistoryStore(_ => store).WithOptions(o => o.Fleet.StartTimeout = TimeSpan.Zero))));
        await store.Loading.WaitAsync();
        await UntilAsync(() => Advance(starting));
        var host = await starting;
        Assert.Contains(host.Log.Errors, e => e.Message.EndsWith("ScriptedStore does not heed its token; the forecast starts without it.", StringComparison.Ordinal));
        Assert.Equal(2, await host.Client.InferAsync(1));
        _time.Advance(TimeSpan.FromMinutes(5));
        await UntilAsync(() => host.Log.Errors.Any(e => e.Message.EndsWith("is not saved: an earlier call of ScriptedStore has not returned.", StringComparison.Ordinal)));
        var stopping = host.StopAsync();
        await UntilAsync(() => Advance(stopping));
        await stopping;
        Assert.Equal(0, store.Saves);
        await host.DisposeAsync();

        bool Advance(Task task)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return task.IsCompleted;
        }
    }

    /// <summary>The last one wins: the file is one host's history, whole.</summary>
    [Fact]
    public async Task OfTwoHostsInOneDirectoryTheLastToSaveWins()
    {
        await using var first = await StartAsync();
        var of = _predictor;
        _predictor = new Recorder();
        await using var second = await StartAsync();
        for (var slot = 0; slot < 12; slot++)
        {
            await first.Client.InferAsync(1);
            await second.Client.InferAsync(1);
            await second.Client.InferAsync(2);
            _time.Advance(TimeSpan.FromSeconds(5));
        }
        await first.StopAsync();
        Assert.Equal(12, Assert.Single(Stored().Samples()).Count);
        await second.StopAsync();
        Assert.Equal(24, Assert.Single(Stored().Samples()).Count);
        Assert.Equal((0, 0), (first.Log.Errors.Count, second.Log.Errors.Count));
        Assert.Equal(["arrivals-m.history"], Files);
        Assert.Empty(of.Past);
    }

    [Fact]
    public async Task TwoModelsOfOneDirectoryKeepTheirOwn()
    {
        await using (var small = await ServingHost.StartAsync(Fleet(m => m.KeepArrivalHistory(_directory)), model: "m"))
        await using (var capital = await ServingHost.StartAsync(Fleet(m => m.KeepArrivalHistory(_directory)), model: "M"))
        {
            await small.Client.InferAsync(1);
            await capital.Client.InferAsync(1);
            await ServeAsync(small, Enumerable.Repeat(1, 12).ToArray());
        }
        Assert.Equal((13, 1), (Stored("m").Samples().Single().Count, Stored("M").Samples().Single().Count));
    }

    [Theory]
    [InlineData("HistorySaveInterval", "00:00:00", "00:00:01 to 1.00:00:00")]
    [InlineData("HistorySaveInterval", "2.00:00:00", "00:00:01 to 1.00:00:00")]
    [InlineData("HistoryDirectory", " ", "the path of a directory")]
    [InlineData("HistoryDirectory", "a\0b", "the path of a directory")]
    public async Task BadSettingsAreNamed(string key, string value, string accepted)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(
            () => ServingHost.StartAsync(Fleet(_ => { }), new() { [$"MArk:Models:m:Fleet:{key}"] = value }));
        Assert.Contains($"MArk:Models:m:Fleet:{key} is ", error.Message);
        Assert.Contains(accepted, error.Message);
    }

    [Fact]
    public async Task AHistoryWithoutAFleetIsRefused()
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => ServingHost.StartAsync(m => m.UseBatchFunction(Double).KeepArrivalHistory(_directory)));
        Assert.Contains("MArk:Models:m:Fleet:HistoryDirectory is ", error.Message);
        Assert.Contains("no instance provider is used", error.Message);
        var store = await Assert.ThrowsAsync<ArgumentException>(() => ServingHost.StartAsync(m => m.UseBatchFunction(Double).UseArrivalHistoryStore(_ => _files)));
        Assert.Contains("call UseLocalInstances or UseInstanceProvider", store.Message);
    }

    /// <summary>A clock that somebody sets, beside a timestamp that only goes on.</summary>
    private sealed class SteppedClock(DateTimeOffset start) : FakeTimeProvider(start)
    {
        public TimeSpan Step { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Step;

        public override long GetTimestamp() => base.GetUtcNow().Ticks;
    }

    /// <summary>What a predictor was told before it was first asked for a plan's forecast; that it can give one is tried before, at the start.</summary>
    private sealed class Recorder : IWorkloadPredictor
    {
        private readonly FlatPredictor _flat = new();
        private readonly ConcurrentQueue<ArrivalSample> _past = new();
        private volatile int _asked;

        public IReadOnlyCollection<ArrivalSample> Past => _past;

        public void Observe(in ArrivalSample sample)
        {
            if (_asked <= 1)
            {
                _past.Enqueue(sample);
            }
        }

        public void Forecast(WorkloadForecast forecast)
        {
            _asked++;
            _flat.Forecast(forecast);
        }
    }

    /// <summary>A store in memory that fails when the test says so.</summary>
    private sealed class ScriptedStore : IArrivalHistoryStore
    {
        private readonly TaskCompletionSource _never = new();

        public byte[]? Bytes { get; set; }

        public Exception? OnLoad { get; set; }

        public Exception? OnSave { get; set; }

        public Exception? OnSetAside { get; set; }

        public bool Hangs { get; set; }

        public SemaphoreSlim Loading { get; } = new(0);

        public int Saves { get; private set; }

        public async ValueTask<ReadOnlyMemory<byte>?> LoadAsync(string modelName, CancellationToken cancellationToken)
        {
            if (Hangs)
            {
                Loading.Release();
                await _never.Task;
            }
            return OnLoad is { } error ? throw error : Bytes;
        }

        public ValueTask SaveAsync(string modelName, ReadOnlyMemory<byte> history, CancellationToken cancellationToken)
        {
            if (OnSave is { } error)
            {
                throw error;
            }
            Saves++;
            Bytes = history.ToArray();
            return ValueTask.CompletedTask;
        }

        public ValueTask<string?> SetAsideAsync(string modelName, CancellationToken cancellationToken)
        {
            if (OnSetAside is { } error)
            {
                throw error;
            }
            Bytes = null;
            return new("elsewhere");
        }
    }
}
