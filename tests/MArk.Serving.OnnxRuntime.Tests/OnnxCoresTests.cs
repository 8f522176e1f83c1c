using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.Provisioning;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Issue 3, feature 9: sessions, and their threads, by the core count unless set.</summary>
public sealed class OnnxCoresTests
{
    private static readonly OnnxRunnerOptions Echo = new() { Path = OnnxTestKit.Asset("echo_float32.onnx") };

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(8, 7, 1)]
    [InlineData(32, 7, 4)]
    public async Task IntraOpThreadsAreThoseThatTheInstanceIsGranted(int cores, int sessions, int threads)
    {
        var factory = new Watched(new OnnxBatchRunnerFactory<float[], float[]>(Echo, new SingleTensorCodec<float, float>()));
        await RunAsync(cores, m => m.UseRunner(_ => factory), sessions, held: sessions * threads);
        Assert.Equal(sessions, factory.Granted.Count);
        Assert.All(factory.Granted, instance => Assert.Equal(threads, Echo.ThreadsOf(instance)));
    }

    [Theory]
    [InlineData(8, 4, 1, 4)]
    [InlineData(8, 3, 2, 6)]
    [InlineData(2, 4, 1, 2)]
    public Task IntraOpThreadsThatAreSetLeaveFewerSessions(int cores, int threads, int sessions, int held) =>
        RunAsync(cores, m => m.UseOnnx(Echo with { IntraOpThreads = threads }, new SingleTensorCodec<float, float>()), sessions, held);

    [Fact]
    public Task SessionsThatAreSetKeepTheThreadsOfTheModel() =>
        RunAsync(8, m => m.UseOnnx(Echo with { IntraOpThreads = 3 }, new SingleTensorCodec<float, float>()).WithConcurrency(2), sessions: 2, held: 6);

    [Fact]
    public void AGpuNeedsNoCoreAndHasOneSession() => Assert.Equal(0, (Echo with { ExecutionProvider = OnnxExecutionProvider.Cuda, IntraOpThreads = 2 }).OwnThreads);

    [Theory]
    [InlineData(0)]
    [InlineData(1025)]
    public async Task ThreadsOutOfRangeAreNamedWhenTheModelIsOpened(int threads)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(() =>
            RunAsync(8, m => m.UseOnnx(Echo with { IntraOpThreads = threads }, new SingleTensorCodec<float, float>()), sessions: 0, held: 0));
        Assert.Contains($"IntraOpThreads is {threads}; accepted are 1 to 1024", error.Message);
    }

    private static async Task RunAsync(int cores, Action<ModelBuilder<float[], float[]>> configure, int sessions, int held)
    {
        var budget = new CoreBudget(cores);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton(budget);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("m", m =>
        {
            m.WithSlo(TimeSpan.FromMinutes(1));
            configure(m);
        });
        using var host = builder.Build();
        await host.StartAsync();
        Assert.Equal(sessions, host.Services.GetRequiredKeyedService<IModelMonitor>("m").GetReport().ReadyInstances);
        Assert.Equal(held, budget.Held);
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("m");
        await Task.WhenAll(Enumerable.Range(0, 500).Select(async i => Assert.Equal([i, -i], await client.InferAsync([i, -i]))));
        await host.StopAsync();
        Assert.Equal(0, budget.Held);
    }

    private sealed class Watched(OnnxBatchRunnerFactory<float[], float[]> factory) : IBatchRunnerFactory<float[], float[]>
    {
        public ConcurrentQueue<InstanceDescriptor> Granted { get; } = new();

        public ValueTask InitializeAsync(CancellationToken cancellationToken) => factory.InitializeAsync(cancellationToken);

        public RequestTraits Admit(float[] input) => factory.Admit(input);

        public ValueTask<IBatchRunner<float[], float[]>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
        {
            Granted.Enqueue(instance);
            return factory.ConnectAsync(instance, cancellationToken);
        }

        public bool TryCreateSample([MaybeNullWhen(false)] out float[] sample) => factory.TryCreateSample(out sample);
    }
}
