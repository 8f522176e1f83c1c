using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.EndToEndTests;

/// <summary>A host with a real model on a local fleet, from the first request to the last machine.</summary>
public sealed class DigitsTests
{
    private static string Asset(string name) => Path.Combine(AppContext.BaseDirectory, "Assets", name);

    private static (float[] Image, int Label)[] Digits() => [.. File.ReadLines(Asset("digits-heldout.csv")).Skip(1).Select(line =>
    {
        var numbers = line.Split(',').Select(int.Parse).ToArray();
        return (numbers[1..].Select(p => p / 16f).ToArray(), numbers[0]);
    })];

    [Fact]
    public async Task TrainedDigitsAreRightBesideBadInputAndTheFleetIsGoneAfterwards()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
            .UseOnnx(Asset("digits.onnx")).WithSlo(TimeSpan.FromMinutes(1)).UseLocalInstances(new LocalOffering { Name = "core", PricePerHour = 1 }));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("digits");
        var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>("digits");
        Assert.True(monitor.GetProfiles()["core"].IsMeasured);

        var digits = Digits();
        var destination = new float[digits.Length][];
        var answers = digits.Select((d, i) => (i % 2 == 0 ? client.InferAsync(d.Image) : client.InferIntoAsync(d.Image, destination[i] = new float[10])).AsTask()).ToArray();
        var bad = new (float[] Input, string Says)[]
        {
            (new float[63], "63"),
            (new float[65], "65"),
            ([.. digits[0].Image[..63], float.NaN], "NaN"),
        };
        foreach (var (input, says) in bad)
        {
            var error = await Assert.ThrowsAsync<InvalidInputException>(async () => await client.InferAsync(input));
            Assert.Equal("image", error.InputName);
            Assert.Contains(says, error.Message);
        }
        var right = 0;
        for (var i = 0; i < digits.Length; i++)
        {
            var logits = await answers[i];
            right += logits.IndexOf(logits.Max()) == digits[i].Label ? 1 : 0;
            Assert.True(i % 2 == 0 || ReferenceEquals(logits, destination[i]));
        }
        Assert.True(right >= 0.95 * digits.Length, $"{right} of {digits.Length}");

        await host.StopAsync();
        var report = monitor.GetReport();
        Assert.Equal((digits.Length, digits.Length, 0, 1, 1), (report.Offered, report.Succeeded, report.ReadyInstances, report.Cost.Launched, report.Cost.Terminated));
        Assert.True(report.Cost.InstanceCost > 0);
    }

    [Fact]
    public async Task AModelFileThatIsNoneFailsTheStartAndNamesThePath()
    {
        var path = Path.GetTempFileName();
        await File.WriteAllTextAsync(path, "no model");
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m.UseOnnx(path).UseLocalInstances(1));
        using var host = builder.Build();
        var error = await Assert.ThrowsAsync<ModelLoadException>(() => host.StartAsync());
        File.Delete(path);
        Assert.Contains(path, error.Message);
    }
}
