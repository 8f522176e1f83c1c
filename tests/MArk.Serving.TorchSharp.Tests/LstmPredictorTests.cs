using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using static MArk.Serving.TorchSharp.Tests.Waves;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>The LSTM as a predictor: alone, mixed with the others, with a file, and in a host.</summary>
[Collection(LibTorchCollection.Name)]
public sealed class LstmPredictorTests : IDisposable
{
    private static readonly PredictorOptions Options = new() { Horizon = Horizon };

    private static readonly LstmOptions Lstm = Small with { HiddenUnits = 16, Epochs = 40, MinimumHistory = 300, RetrainAfter = 300 };

    private readonly string _directory = Directory.CreateTempSubdirectory("lstm-").FullName;
    private readonly List<ServingException> _said = [];

    private string WeightsPath => Path.Combine(_directory, "deep", "m.lstm");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static void Feed(IWorkloadPredictor predictor, int from, int count, TimeSpan? length = null)
    {
        var each = length ?? Minute;
        for (var i = from; i < from + count; i++)
        {
            predictor.Observe(new ArrivalSample(Monday + i * each, each, (long)Math.Round(60 * Rate(i))));
        }
    }

    private static WorkloadForecast Ahead(IWorkloadPredictor predictor, int minute)
    {
        var forecast = new WorkloadForecast(Horizon, Minute) { Start = Monday + minute * Minute };
        predictor.Forecast(forecast);
        return forecast;
    }

    /// <summary>How far the medians of some forecasts are off, and how far they would be if nothing changed.</summary>
    private static (double Error, double Naive) Walk(IWorkloadPredictor predictor, int from, int count)
    {
        var (error, naive) = (0.0, 0.0);
        for (var minute = from; minute < from + count; minute++)
        {
            var forecast = Ahead(predictor, minute);
            for (var step = 0; step < Horizon; step++)
            {
                error += Math.Abs(forecast.Quantile(0)[step] - Rate(minute + step));
                naive += Math.Abs(Rate(minute - 1) - Rate(minute + step));
                for (var level = 0; level < forecast.Levels.Length; level++)
                {
                    Assert.InRange(forecast.Quantile(level)[step], level == 0 ? 0 : forecast.Quantile(level - 1)[step], double.MaxValue);
                }
            }
            Feed(predictor, minute, 1);
        }
        return (error, naive);
    }

    private static void Train(IWorkloadPredictor predictor)
    {
        var job = ((ITrainable)predictor).TakeTrainingJob();
        Assert.NotNull(job);
        job.Run(default);
        job.Apply();
        Assert.Null(((ITrainable)predictor).TakeTrainingJob());
    }

    [Fact]
    public void AloneItForecastsADistributionAroundWhatItLearned()
    {
        var predictor = LstmPredictor.Create(Options, Lstm);
        Feed(predictor, 0, 300);
        Train(predictor);
        Feed(predictor, 300, 100);
        var (error, naive) = Walk(predictor, 400, 60);
        Assert.True(error < 0.4 * naive, $"{error} of {naive}");
    }

    [Fact]
    public void AMixtureTrainsItAndGoesWithItWhereItErrsLess()
    {
        var predictor = new AutoPredictor([Predictors.LastValue(Options), LstmPredictor.Create(Options, Lstm)], Options);
        Feed(predictor, 0, 300);
        Train(predictor);
        Feed(predictor, 300, 100);
        var (error, naive) = Walk(predictor, 400, 60);
        Assert.True(error < 0.5 * naive, $"{error} of {naive}");
    }

    [Fact]
    public void WhatWasLearnedIsKeptInTheFile()
    {
        var first = LstmPredictor.Create(Options, Lstm, WeightsPath, _said.Add);
        Feed(first, 0, 300);
        Assert.False(File.Exists(WeightsPath));
        Train(first);
        Assert.Equal([WeightsPath], Directory.GetFiles(Path.GetDirectoryName(WeightsPath)!));

        // It forecasts at once, without a training.
        var second = LstmPredictor.Create(Options, Lstm with { MinimumHistory = 10_000 }, WeightsPath, _said.Add);
        Feed(second, 0, 100);
        Assert.Null(((ITrainable)second).TakeTrainingJob());
        var (error, naive) = Walk(second, 100, 60);
        Assert.True(error < 0.5 * naive, $"{error} of {naive}");
        Assert.Empty(_said);
    }

    [Fact]
    public void AFileThatCannotBeUsedIsKeptAsideAndSaid()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(WeightsPath)!);
        for (var number = 1; number <= 2; number++)
        {
            File.WriteAllText(WeightsPath, $"no weights {number}");
            var predictor = LstmPredictor.Create(Options, Lstm, WeightsPath, _said.Add);
            Assert.False(File.Exists(WeightsPath));
            Assert.Equal($"no weights {number}", File.ReadAllText($"{WeightsPath}.aside-{number}"));
            Assert.Equal(number, _said.Count);
            Assert.IsType<LstmFormatException>(_said[^1]);
            Assert.Contains($"'{WeightsPath}.aside-{number}'", _said[^1].Message);
            Assert.Contains("begins with 'MArkLstm'", _said[^1].Message);
            Feed(predictor, 0, 50);
            Assert.InRange(Ahead(predictor, 50).Quantile(0)[0], 0, 100);
        }
    }

    [Fact]
    public void AFileThatCouldNotBeReadIsSetAsideBeforeAnotherIsSaved()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(WeightsPath)!);
        File.WriteAllText(WeightsPath, "who knows");
        IWorkloadPredictor predictor;
        using (new FileStream(WeightsPath, FileMode.Open, FileAccess.Read, FileShare.None))
        {
            predictor = LstmPredictor.Create(Options, Lstm with { Epochs = 1 }, WeightsPath, _said.Add);
        }
        Assert.Contains("could not be read", Assert.Single(_said).Message);
        Assert.Equal("who knows", File.ReadAllText(WeightsPath));
        Feed(predictor, 0, 300);
        Train(predictor);
        Assert.Equal("who knows", File.ReadAllText($"{WeightsPath}.aside-1"));
        Assert.Contains($"'{WeightsPath}.aside-1'", _said[1].Message);
        New(Lstm).Load(new MemoryStream(File.ReadAllBytes(WeightsPath)));
        // Its own weights are not in the way of the next ones.
        Feed(predictor, 300, 300);
        Train(predictor);
        Assert.Equal(2, _said.Count);
        Assert.Equal(2, Directory.GetFiles(Path.GetDirectoryName(WeightsPath)!).Length);
    }

    [Fact]
    public void AReportThatThrowsStopsNothing()
    {
        Directory.CreateDirectory(WeightsPath);
        var predictor = LstmPredictor.Create(Options, Lstm, WeightsPath, _ => throw new InvalidOperationException("no log"));
        Feed(predictor, 0, 300);
        Train(predictor);
        Feed(predictor, 300, 100);
        var (error, naive) = Walk(predictor, 400, 60);
        Assert.True(error < 0.4 * naive, $"{error} of {naive}");
    }

    public static TheoryData<string, Action> Nothing { get; } = new()
    {
        { "weightsFile", () => _ = LstmPredictor.Create(Options, Lstm, " ", _ => { }) },
        { "weightsFile", () => _ = LstmPredictor.Create(Options, Lstm, null!, _ => { }) },
        { "report", () => _ = LstmPredictor.Create(Options, Lstm, "m.lstm", null!) },
        { "weightsFile", () => Host.CreateEmptyApplicationBuilder(null).Services.AddMArkServing().AddModel<int, int>("m", m => m.UseLstmPredictor(weightsFile: "")) },
        { "model", () => LstmModelBuilderExtensions.UseLstmPredictor<int, int>(null!) },
        { "stream", () => New().Load(null!) },
        { "stream", () => New().Save(null!) },
    };

    [Theory]
    [MemberData(nameof(Nothing))]
    public void WhatIsNothingIsRefusedByItsName(string name, Action make) =>
        Assert.Equal(name, Assert.ThrowsAny<ArgumentException>(make).ParamName);

    [Fact]
    public void AFileThatCannotBeReadOrWrittenIsSaidAndWhatWasLearnedIsForecastBy()
    {
        Directory.CreateDirectory(WeightsPath);
        var predictor = LstmPredictor.Create(Options, Lstm with { Epochs = 1 }, WeightsPath, _said.Add);
        Assert.Contains("could not be read", Assert.Single(_said).Message);
        Feed(predictor, 0, 300);
        Train(predictor);
        Assert.Equal(2, _said.Count);
        Assert.Contains("could not be saved", _said[1].Message);
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(WeightsPath)!));
    }

    [Fact]
    public void AHistoryThatBeginsWithHoursLeavesTheFileOfMinutesAlone()
    {
        var first = LstmPredictor.Create(Options, Lstm with { Epochs = 1 }, WeightsPath, _said.Add);
        Feed(first, 0, 300);
        Train(first);
        var kept = File.ReadAllBytes(WeightsPath);
        var second = LstmPredictor.Create(Options, Lstm with { Epochs = 1 }, WeightsPath, _said.Add);
        Feed(second, -200, 200, TimeSpan.FromHours(1));
        Feed(second, 0, 10);
        Assert.Equal(kept, File.ReadAllBytes(WeightsPath));
        Assert.Empty(_said);
    }

    [Fact]
    public async Task AHostTrainsItBesideServingAndKeepsWhatItLearned()
    {
        var now = DateTimeOffset.UtcNow;
        var history = new ArrivalHistory();
        var begin = new DateTimeOffset(now.Ticks / Minute.Ticks * Minute.Ticks, TimeSpan.Zero) - 402 * Minute;
        for (var minute = 0; minute < 400; minute++)
        {
            history.Add(new ArrivalSample(begin + minute * Minute, Minute, (long)Math.Round(60 * Rate(minute))));
        }
        await new FileArrivalHistoryStore(_directory).SaveAsync("m", history.ToBytes(), default);
        Directory.CreateDirectory(Path.GetDirectoryName(WeightsPath)!);
        await File.WriteAllTextAsync(WeightsPath, "no weights");
        var log = new Journal();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(log);
        builder.Services.AddMArkServing().AddModel<int, int>("m", m => m
            .UseBatchFunction((batch, sink, _) =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, 2 * batch[i]);
                }
                return ValueTask.CompletedTask;
            })
            .WithSlo(TimeSpan.FromMinutes(1))
            .WithOptions(o => o.Fleet.Horizon = Horizon)
            .UseLocalInstances(max: 1)
            .KeepArrivalHistory(_directory)
            .UseLstmPredictor(Lstm with { Epochs = 3 }, WeightsPath));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<int, int>>("m");
        Assert.Equal(42, await client.InferAsync(21));
        // The training that is due with the first plan ends in the file.
        using var giveUp = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!File.Exists(WeightsPath))
        {
            await timer.WaitForNextTickAsync(giveUp.Token);
        }
        Assert.Equal(44, await client.InferAsync(22));
        await host.StopAsync();
        New(Lstm).Load(new MemoryStream(await File.ReadAllBytesAsync(WeightsPath)));
        Assert.IsType<LstmFormatException>(Assert.Single(log.Errors));
        Assert.Equal("no weights", await File.ReadAllTextAsync($"{WeightsPath}.aside-1"));
    }

    /// <summary>Begins with the history of one window, and with weights by which the rate grows by 50 an interval.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AHostForecastsByItAloneOrByTheMixture(bool alone)
    {
        var shape = ShapeOf(Small);
        var growing = LstmWeights.Create(
            shape, 0, 50, new float[shape.Gates], new float[shape.Gates * shape.HiddenUnits], new float[shape.Gates], new float[shape.Horizon * shape.HiddenUnits], [.. Enumerable.Repeat(1f, Horizon)]);
        var history = new ArrivalHistory();
        for (var minute = 0; minute <= Small.Window; minute++)
        {
            history.Add(new ArrivalSample(Monday + minute * Minute, Minute, 600));
        }
        await new FileArrivalHistoryStore(_directory).SaveAsync("m", history.ToBytes(), default);
        Directory.CreateDirectory(Path.GetDirectoryName(WeightsPath)!);
        await File.WriteAllBytesAsync(WeightsPath, growing.ToBytes());
        var planner = new Witness();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<TimeProvider>(new FakeTimeProvider(Monday + (Small.Window + 1) * Minute));
        builder.Services.AddMArkServing().AddModel<int, int>("m", m => m
            .UseBatchFunction((_, _, _) => ValueTask.CompletedTask)
            .WithProfile("local", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1))
            .WithSlo(Minute)
            .WithOptions(o =>
            {
                o.Fleet.Horizon = Horizon;
                o.Fleet.StartTimeout = TimeSpan.Zero;
            })
            .UseLocalInstances(max: 1)
            .UsePlanner(_ => planner)
            .KeepArrivalHistory(_directory)
            .UseLstmPredictor(Small, WeightsPath, alone));
        using var host = builder.Build();
        await host.StartAsync();
        var medians = await planner.Seen.Task.WaitAsync(TimeSpan.FromMinutes(1));
        await host.StopAsync();
        // The five others expect 10 a second, and nothing is known yet of how much each has erred.
        Assert.InRange(medians[^1], alone ? 80 : 15, alone ? 520 : 60);
    }

    private sealed class Witness : IProvisioningPlanner
    {
        public TaskCompletionSource<double[]> Seen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Plan(in ProvisioningContext context, FleetPlan plan) => Seen.TrySetResult(context.Forecast.Quantile(0).ToArray());
    }

    private sealed class Journal : ILoggerProvider, ILogger
    {
        private readonly List<Exception?> _errors = [];

        public Exception?[] Errors
        {
            get
            {
                lock (_errors)
                {
                    return [.. _errors];
                }
            }
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Warning)
            {
                lock (_errors)
                {
                    _errors.Add(exception);
                }
            }
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
