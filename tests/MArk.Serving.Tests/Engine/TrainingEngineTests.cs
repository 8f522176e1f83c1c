using MArk.Serving.DependencyInjection;
using MArk.Serving.Provisioning;
using MArk.Serving.Tests.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using static MArk.Serving.Tests.Engine.HistoryEngineTests;

namespace MArk.Serving.Tests.Engine;

/// <summary>The operator runs trainings on a thread of their own: serving and forecasts go on, and the stop does not wait.</summary>
public sealed class TrainingEngineTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly TrainablePredictor _predictor = new();

    private Task<ServingHost> StartAsync() => ServingHost.StartAsync(m =>
    {
        m.Services.AddSingleton<TimeProvider>(_time);
        m.UseBatchFunction(Double).WithProfile("o", Profile).WithSlo(TimeSpan.FromMinutes(10))
            .UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(1)).UsePredictor(_ => _predictor);
    });

    /// <summary>The next plan has been made.</summary>
    private async Task PlanAsync()
    {
        var before = _predictor.Forecasts;
        _time.Advance(TimeSpan.FromMinutes(1));
        await UntilAsync(() => _predictor.Forecasts > before);
    }

    [Fact]
    public async Task ATrainingRunsBesideForecastsAndServingAndIsAppliedWhenItEnds()
    {
        using var entered = new SemaphoreSlim(0);
        using var gate = new SemaphoreSlim(0);
        _predictor.Run = token =>
        {
            entered.Release();
            gate.Wait(token);
        };
        _predictor.Due = 2;
        await using var host = await StartAsync();
        await entered.WaitAsync();
        await PlanAsync();
        await PlanAsync();
        Assert.Equal(4, await host.Client.InferAsync(2));
        Assert.Equal((0, 0, 1), (_predictor.Applied, entered.CurrentCount, _predictor.Due));
        gate.Release();
        await UntilAsync(() => _predictor.Applied == 1);
        // The other one that is due follows at once.
        await entered.WaitAsync();
        gate.Release();
        await UntilAsync(() => _predictor.Applied == 2);
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task ATrainingThatThrowsIsReportedAndTriedAgainWithTheNextPlan()
    {
        var runs = 0;
        _predictor.Run = _ =>
        {
            if (Interlocked.Increment(ref runs) == 1)
            {
                throw new InvalidOperationException("diverged");
            }
        };
        _predictor.Due = 2;
        await using var host = await StartAsync();
        await UntilAsync(() => host.Log.Errors.Any(e => e.Message.EndsWith("it is tried again when one is due: diverged", StringComparison.Ordinal)));
        Assert.Equal((0, 1), (_predictor.Applied, _predictor.Due));
        await PlanAsync();
        await UntilAsync(() => _predictor.Applied == 1);
        Assert.Single(host.Log.Errors);
    }

    [Fact]
    public async Task TheStopCancelsATrainingAndSaysNothingOfIt()
    {
        using var entered = new SemaphoreSlim(0);
        using var never = new SemaphoreSlim(0);
        var cancelled = false;
        _predictor.Run = token =>
        {
            entered.Release();
            try
            {
                never.Wait(token);
            }
            catch (OperationCanceledException)
            {
                Volatile.Write(ref cancelled, true);
                throw;
            }
        };
        _predictor.Due = 1;
        var host = await StartAsync();
        await entered.WaitAsync();
        await host.StopAsync();
        Assert.True(cancelled);
        Assert.Equal(0, _predictor.Applied);
        Assert.Empty(host.Log.Errors);
        await host.DisposeAsync();
    }

    [Fact]
    public async Task ATrainingThatDoesNotHeedItsTokenIsLeftBehindAndSaid()
    {
        using var entered = new SemaphoreSlim(0);
        using var gate = new SemaphoreSlim(0);
        _predictor.Run = _ =>
        {
            entered.Release();
            gate.Wait();
        };
        _predictor.Due = 1;
        var host = await StartAsync();
        await entered.WaitAsync();
        var stopped = host.StopAsync();
        await UntilAsync(() =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return stopped.IsCompleted;
        });
        await stopped;
        Assert.Contains(host.Log.Errors, e => e.Message == "The training of the predictor of fleet 'm' does not heed its token; it is left behind.");
        gate.Release();
        await host.DisposeAsync();
    }
}
