using System.Diagnostics.Metrics;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>Each instance is counted in one state, and what adds up is of a kind that is added up.</summary>
public sealed class InstanceTelemetryTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private static (double Ready, double Launching, double Draining, double Out) States(MeterProbe meter)
    {
        var states = meter.Observe("mark.serving.instances", "mark.instance.state");
        Assert.Equal(4, states.Count);
        return (states["ready"], states["launching"], states["draining"], states["out"]);
    }

    [Fact]
    public async Task OneThatIsOutOfRotationIsNotReady()
    {
        using var meter = new MeterProbe("out");
        var fails = false;
        await using var host = await ServingHost.StartAsync(
            m => m.WithWarmUpInput(-1).UseBatchFunction((batch, sink, _) =>
            {
                if (Volatile.Read(ref fails))
                {
                    throw new InstanceFailedException("the device is gone");
                }
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, 2 * batch[i]);
                }
                return ValueTask.CompletedTask;
            }),
            model: "out");
        Assert.Equal((1, 0, 0, 0), States(meter));
        Volatile.Write(ref fails, true);
        var call = host.Client.InferAsync(1, Patient).AsTask();
        await host.UntilAsync(r => r.OutOfRotation == 1);
        Assert.Equal((0, 0, 0, 1), States(meter));
        Volatile.Write(ref fails, false);
        Assert.Equal(2, await call.WaitAsync(Minute));
        Assert.Equal((1, 0, 0, 0), States(meter));
    }

    [Fact]
    public async Task OneThatWasSupersededDrains()
    {
        using var meter = new MeterProbe("superseded");
        var entered = new SemaphoreSlim(0);
        var gate = new TaskCompletionSource();
        var old = new VersionedModel(2) { Before = _ => { entered.Release(); return gate.Task; } };
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => old).WithSlo(Minute), model: "superseded");
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await entered.WaitAsync();
        var reload = host.Reloader.ReloadAsync(new VersionedModel(3));
        var report = await host.UntilAsync(r => r.DrainingInstances == 1);
        Assert.Equal(1, report.ReadyInstances);
        Assert.Equal((1, 0, 1, 0), States(meter));
        gate.SetResult();
        Assert.Equal(2, await running.WaitAsync(Minute));
        await reload.WaitAsync(Minute);
        Assert.Equal((1, 0, 0, 0), States(meter));
    }

    [Fact]
    public async Task WhatAddsUpIsAnUpDownCounter()
    {
        using var meter = new MeterProbe("kinds");
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction((_, _, _) => ValueTask.CompletedTask).WithOptions(o => o.Fleet.MinInstances = 0).UseInstanceProvider(_ => new ScriptedProvider()), model: "kinds");
        Assert.All(
            ["mark.serving.instances", "mark.serving.queue.length", "mark.serving.queue.bytes", "mark.serving.fleet.planned", "mark.serving.fleet.stopped"],
            name => Assert.IsType<ObservableUpDownCounter<long>>(meter.Instrument(name)));
        Assert.IsType<ObservableUpDownCounter<double>>(meter.Instrument("mark.serving.fleet.hourly_spend"));
    }
}
