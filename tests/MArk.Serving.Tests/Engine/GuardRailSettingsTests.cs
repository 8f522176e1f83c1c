using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>The guard rails as a host configures them: bound from <c>MArk:Models:{name}:Fleet</c>, checked at start, heeded by the running fleet.</summary>
public sealed class GuardRailSettingsTests
{
    private const string Fleet = "MArk:Models:m:Fleet";
    private const string Window = $"{Fleet}:ScheduledCapacity:0";

    private static ValueTask Echo(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    private static Task<ServingHost> StartAsync(ScriptedProvider provider, Dictionary<string, string?> settings) => ServingHost.StartAsync(
        m => m.UseBatchFunction(Echo).WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4)).UseInstanceProvider(_ => provider), settings);

    [Theory]
    [InlineData("ReadyTimeout", "00:00:00.5", "is 00:00:00.5000000; accepted: 00:00:01 to 1.00:00:00, or nothing for what follows from the launch delay.")]
    [InlineData("StandbyInstances", "100", "is 100; accepted: 0 to MaxInstances less 1 that are planned, 99.")]
    [InlineData("StandbyInstances", "-1", "is -1; accepted: 0 to MaxInstances less 1 that are planned, 99.")]
    [InlineData("SloWindow", "00:00:01", "is 00:00:01; accepted: SampleInterval, 00:00:05, to 01:00:00, or 00:00:00 for none.")]
    [InlineData("ScheduledCapacity:0:From", "1.00:00:00", "is 1.00:00:00; accepted: 00:00:00 to less than 1.00:00:00, or Start and End for a window that comes once.")]
    [InlineData("ScheduledCapacity:0:Duration", "8.00:00:00", "is 8.00:00:00; accepted: more than 00:00:00, at most 7.00:00:00.")]
    [InlineData("ScheduledCapacity:0:TimeZone", "Nowhere", "is 'Nowhere'; accepted: the name of a time zone that this machine knows, such as UTC or Europe/Berlin.")]
    [InlineData("ScheduledCapacity:0:MinInstances", "101", "is 101; accepted: 1 to MaxInstances less StandbyInstances, 100, or nothing.")]
    [InlineData("ScheduledCapacity:0:MinRate", "0", "is 0; accepted: more than 0, at most 1e9, or nothing.")]
    [InlineData("ScheduledCapacity:0:Start", "2026-01-01T00:00:00Z", "ScheduledCapacity:0:End is ; accepted: an instant after Start")]
    public async Task ASettingOutsideItsRangeIsRefusedByName(string key, string value, string message)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(new ScriptedProvider(), new() { [$"{Fleet}:{key}"] = value }));
        Assert.Contains(message, error.Message);
        Assert.Contains($"{Fleet}:{key.Split(':')[0]}", error.Message);
    }

    [Fact]
    public async Task AWindowThatOnlyStandbyMachinesCouldFillIsRefused()
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(
            new ScriptedProvider(), new() { [$"{Fleet}:MaxInstances"] = "4", [$"{Fleet}:StandbyInstances"] = "2", [$"{Window}:MinInstances"] = "3" }));
        Assert.Contains($"{Window}:MinInstances is 3; accepted: 1 to MaxInstances less StandbyInstances, 2, or nothing.", error.Message);
    }

    [Fact]
    public async Task AWindowIsBoundFromConfigurationAndKept()
    {
        var provider = new ScriptedProvider();
        await using var host = await StartAsync(provider, new()
        {
            [$"{Window}:Days:0"] = "Monday", [$"{Window}:Days:1"] = "Tuesday", [$"{Window}:Days:2"] = "Wednesday", [$"{Window}:Days:3"] = "Thursday",
            [$"{Window}:Days:4"] = "Friday", [$"{Window}:Days:5"] = "Saturday", [$"{Window}:Days:6"] = "Sunday",
            [$"{Window}:From"] = "00:00:00", [$"{Window}:Duration"] = "1.00:00:00", [$"{Window}:TimeZone"] = "Asia/Tokyo", [$"{Window}:MinInstances"] = "3",
        });
        await host.UntilAsync(r => r.ReadyInstances == 3);
        Assert.True(host.Monitor.GetReport().Fleet!.PlanBounds[PlanBoundKind.Schedule] > 0);
    }

    [Fact]
    public async Task ADryRunLaunchesNothingAndTheReportSaysWhatItWould()
    {
        var provider = new ScriptedProvider();
        await using var host = await StartAsync(provider, new() { [$"{Fleet}:DryRun"] = "true", [$"{Fleet}:MinInstances"] = "2" });
        var report = await host.UntilAsync(r => r.PlanExplanation.IsDryRun);
        Assert.Equal([new PlanAction(PlanActionKind.Launch, "o", 2)], report.PlanExplanation.Actions);
        Assert.Equal(0, provider.Launches);
        await host.StopAsync();
        Assert.Equal(0, provider.Launches);
    }
}
