using MArk.Serving.Prediction;
using MArk.Serving.TorchSharp;

namespace MArk.Serving.Tests.Prediction;

/// <summary>A host that references the LSTM and no libtorch, as this one.</summary>
public sealed class LibTorchMissingTests
{
    [Fact]
    public void ATrainingSaysWhatIsMissingAndTheForecastGoesOn()
    {
        var options = new PredictorOptions { Horizon = 10 };
        var predictor = LstmPredictor.Create(options, new LstmOptions { Window = 20, MinimumHistory = 200, RetrainAfter = 50 });
        var begin = new DateTimeOffset(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);
        var end = begin;
        for (var round = 1; round <= 2; round++)
        {
            while (end < begin + TimeSpan.FromMinutes(round == 1 ? 200 : 250))
            {
                predictor.Observe(new ArrivalSample(end, TimeSpan.FromMinutes(1), 600));
                end += TimeSpan.FromMinutes(1);
            }
            var job = ((ITrainable)predictor).TakeTrainingJob();
            Assert.NotNull(job);
            var error = Assert.Throws<LibTorchMissingException>(() => job.Run(default));
            Assert.IsType<ServingException>(error, exactMatch: false);
            Assert.Contains("libtorch-cpu-linux-x64", error.Message);
            Assert.Contains("must reference the package", error.Message);
            Assert.NotNull(error.InnerException);
            var forecast = new WorkloadForecast(10, TimeSpan.FromMinutes(1)) { Start = end };
            predictor.Forecast(forecast);
            Assert.InRange(forecast.Quantile(0)[0], 9.5, 10.5);
        }
    }
}
