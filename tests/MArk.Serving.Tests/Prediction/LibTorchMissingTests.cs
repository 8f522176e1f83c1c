using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using MArk.Serving.Tests.Engine;
using MArk.Serving.TorchSharp;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Prediction;

/// <summary>A host that references the LSTM and no libtorch, as this one.</summary>
public sealed class LibTorchMissingTests : IDisposable
{
    private static readonly DateTimeOffset Begin = new(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LstmOptions Lstm = new() { Window = 20, MinimumHistory = 200, RetrainAfter = 50 };

    private readonly string _directory = Directory.CreateTempSubdirectory("no-libtorch-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static void IsSaid(LibTorchMissingException error)
    {
        Assert.IsType<ServingException>(error, exactMatch: false);
        Assert.Contains("libtorch-cpu-linux-x64", error.Message);
        Assert.Contains("must reference the package", error.Message);
        Assert.NotNull(error.InnerException);
    }

    [Fact]
    public void ATrainingSaysWhatIsMissingAndTheForecastGoesOn()
    {
        var predictor = LstmPredictor.Create(new PredictorOptions { Horizon = 10 }, Lstm);
        var end = Begin;
        for (var round = 1; round <= 2; round++)
        {
            while (end < Begin + (round == 1 ? 200 : 250) * Minute)
            {
                predictor.Observe(new ArrivalSample(end, Minute, 600));
                end += Minute;
            }
            var job = ((ITrainable)predictor).TakeTrainingJob();
            Assert.NotNull(job);
            IsSaid(Assert.Throws<LibTorchMissingException>(() => job.Run(default)));
            var forecast = new WorkloadForecast(10, Minute) { Start = end };
            predictor.Forecast(forecast);
            Assert.InRange(forecast.Quantile(0)[0], 9.5, 10.5);
        }
    }

    [Fact]
    public async Task AHostLogsWhatIsMissingAndServesAndForecastsOn()
    {
        var history = new ArrivalHistory();
        for (var minute = 0; minute < 300; minute++)
        {
            history.Add(new ArrivalSample(Begin + minute * Minute, Minute, 600));
        }
        await new FileArrivalHistoryStore(_directory).SaveAsync("m", history.ToBytes(), default);
        var time = new FakeTimeProvider(Begin + 300 * Minute);
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(time);
            m.UseBatchFunction(HistoryEngineTests.Double).WithProfile("o", HistoryEngineTests.Profile).WithSlo(TimeSpan.FromMinutes(10))
                .UseInstanceProvider(_ => new ScriptedProvider()).KeepArrivalHistory(_directory).UseLstmPredictor(Lstm);
        });
        await HistoryEngineTests.UntilAsync(() => !host.Log.Errors.IsEmpty);
        IsSaid(Assert.IsType<LibTorchMissingException>(Assert.Single(host.Log.Errors).InnerException));
        Assert.Equal(42, await host.Client.InferAsync(21));
        Assert.InRange(host.Monitor.GetReport().ForecastPeak, 9.5, 20);
    }
}
