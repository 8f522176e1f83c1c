using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>A predictor that was made for other steps than its fleet plans by fails the start, and does not leave the fleet unplanned.</summary>
public sealed class PredictorTrialTests
{
    private const string Fleet = "MArk:Models:m:Fleet";

    private static readonly Dictionary<string, string?> Hours = new() { [$"{Fleet}:PlanInterval"] = "00:05:00", [$"{Fleet}:Horizon"] = "24", [$"{Fleet}:TimeZone"] = "Asia/Tokyo" };

    private static Task<ServingHost> StartAsync(Func<IServiceProvider, IWorkloadPredictor> create, Dictionary<string, string?>? settings) => ServingHost.StartAsync(
        m => m.UseBatchFunction(HistoryEngineTests.Double).WithProfile("o", HistoryEngineTests.Profile).WithSlo(TimeSpan.FromMinutes(1)).UseInstanceProvider(_ => new ScriptedProvider()).UsePredictor(create),
        settings);

    [Fact]
    public async Task APredictorForFewerStepsFailsTheStart()
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(_ => new AutoPredictor(), Hours));
        Assert.Contains($"{Fleet}:PlanInterval is 00:05:00 and Fleet:Horizon is 24; accepted: what AutoPredictor, the predictor that the model uses, can forecast", error.Message);
        Assert.Contains("24 steps of 300 s are 120 intervals of 60 s; this predictor was made for at most 60.", error.Message);
    }

    [Fact]
    public async Task APredictorMadeByTheFleetsSettingsForecasts()
    {
        PredictorOptions? made = null;
        await using var host = await StartAsync(
            services => new AutoPredictor(made = PredictorOptions.Of(services.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get("m").Fleet)), Hours);
        await host.UntilAsync(r => r.ReadyInstances == 1);
        Assert.Equal((TimeSpan.FromMinutes(5), 24, TimeSpan.FromSeconds(5), "Asia/Tokyo"), (made!.Interval, made.Horizon, made.SampleLength, made.TimeZone.Id));
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public void TheFleetsDefaultsAreThePredictors() => Assert.Equal(new PredictorOptions(), PredictorOptions.Of(new FleetOptions()));

    [Fact]
    public async Task APredictorThatHasSeenTooLittleIsReportedAndTheHostStarts()
    {
        await using var host = await StartAsync(_ => new NeedsHistory(), new() { [$"{Fleet}:StartTimeout"] = "00:00:00" });
        await host.UntilAsync(_ => host.Log.Errors.Any(e => e.Message.Contains("threw from Forecast")));
    }

    private sealed class NeedsHistory : IWorkloadPredictor
    {
        private readonly List<double> _rates = [];

        public void Observe(in ArrivalSample sample) => _rates.Add(sample.Rate);

        public void Forecast(WorkloadForecast forecast) => forecast.Mean.Fill(_rates[^1]);
    }
}
