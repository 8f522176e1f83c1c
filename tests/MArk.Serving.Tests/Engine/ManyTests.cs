using MArk.Serving.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Several items at hand together, models whatever their types, and models that are started while the host runs.</summary>
public sealed class ManyTests
{
    [Fact]
    public async Task WhatComesTogetherRunsTogetherAndEachHasItsOwnOutcome()
    {
        var sizes = new List<int>();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            sizes.Add(batch.Count);
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch[i] == 13)
                {
                    sink.SetError(i, new InvalidDataException("unlucky"));
                }
                else
                {
                    sink.SetResult(i, 2 * batch[i]);
                }
            }
            return ValueTask.CompletedTask;
        }).WithSlo(TimeSpan.FromSeconds(10)));
        sizes.Clear();
        var results = await host.Client.TryInferManyAsync(Enumerable.Range(0, 32).ToArray());
        Assert.Equal([32], sizes);
        for (var i = 0; i < 32; i++)
        {
            Assert.Equal(i == 13 ? InferenceStatus.Failed : InferenceStatus.Succeeded, results[i].Status);
            Assert.True(i == 13 || results[i].Value == 2 * i);
        }
        Assert.Empty(await host.Client.TryInferManyAsync(ReadOnlyMemory<int>.Empty));
    }

    [Fact]
    public async Task WhatIsNotAdmittedFailsAloneAndATokenEndsTheRest()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(async (batch, sink, _) =>
        {
            await gate.Task;
            sink.SetResults(0, batch.Inputs);
        }).WithSize(i => i == 7 ? throw new InvalidInputException("i", "it is 7.") : 1).WithSlo(TimeSpan.FromSeconds(10)));
        using var token = new CancellationTokenSource();
        var calls = host.Client.TryInferManyAsync(new[] { 1, 7, 2 }, cancellationToken: token.Token);
        await token.CancelAsync();
        Assert.Equal([InferenceStatus.Cancelled, InferenceStatus.Invalid, InferenceStatus.Cancelled], (await calls).Select(r => r.Status));
        Assert.All(await host.Client.TryInferManyAsync(new[] { 1, 2 }, cancellationToken: token.Token), r => Assert.Equal(InferenceStatus.Cancelled, r.Status));
        gate.SetResult();
        Assert.Equal(5, (await host.Client.TryInferManyAsync(new[] { 5 }))[0].Value);
    }

    [Fact]
    public async Task WhatIsAskedForInVainIsRefusedToEachWithAnErrorOfItsOwn()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) => throw new InvalidOperationException("never run")));
        var results = await host.Client.TryInferManyAsync(new[] { 1, 2 }, new InferenceOptions { Timeout = TimeSpan.Zero });
        Assert.All(results, r => Assert.Contains("options.Timeout", Assert.IsType<InvalidInputException>(r.Error).Message, StringComparison.Ordinal));
        Assert.NotSame(results[0].Error, results[1].Error);
    }

    [Fact]
    public async Task AClientOfOnesOwnAnswersManyOneByOne()
    {
        IModelClient<int, int> client = new Doubler();
        Assert.Equal([2, 4, 6], (await client.TryInferManyAsync(new[] { 1, 2, 3 })).Select(r => r.Value));
    }

    [Fact]
    public async Task ModelsAreThereWhateverTheirTypesAndWhenTheyCame()
    {
        var services = new ServiceCollection();
        services.AddMArkServing()
            .AddModel<int, int>("ints", m => m.UseBatchFunction((b, s, _) => { s.SetResults(0, b.Inputs); return ValueTask.CompletedTask; }))
            .AddModel<string, string>("texts", m => m.UseBatchFunction((b, s, _) => { s.SetResults(0, b.Inputs); return ValueTask.CompletedTask; }));
        await using var provider = services.BuildServiceProvider();
        var models = provider.GetServices<IServedModel>().ToArray();
        Assert.Equal([("ints", "Int32", false), ("texts", "String", false)], models.Select(m => (m.Name, m.Accept(new TypeNames()), m.IsReady)));
        foreach (var part in provider.GetServices<Microsoft.Extensions.Hosting.IHostedService>())
        {
            await part.StartAsync(CancellationToken.None);
        }
        Assert.All(models, m => Assert.True(m.IsReady));

        await using (var late = await ModelHost.StartAsync<int, int>(provider, "late", m => m.UseBatchFunction((b, s, _) => { s.SetResults(0, b.Inputs); return ValueTask.CompletedTask; })))
        {
            Assert.True(late.Model.IsReady);
            Assert.Equal(3, await late.Model.Client.InferAsync(3));
            await late.StopAsync();
            Assert.Equal(RejectionReason.Draining, (await late.Model.Client.TryInferAsync(3)).RejectionReason);
        }
        await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(() => ModelHost.StartAsync<int, int>(
            provider, "bad", m => m.UseBatchFunction((b, s, _) => ValueTask.CompletedTask).WithOptions(o => o.MaxBatchSize = 0)));
    }

    private sealed class TypeNames : IServedModelVisitor<string>
    {
        public string Visit<TIn, TOut>(IServedModel<TIn, TOut> model) => typeof(TIn).Name;
    }

    private sealed class Doubler : IModelClient<int, int>
    {
        public string ModelName => "double";

        public ValueTask<int> InferAsync(int input, InferenceOptions options = default, CancellationToken cancellationToken = default) => new(2 * input);

        public ValueTask<int> InferIntoAsync(int input, int destination, InferenceOptions options = default, CancellationToken cancellationToken = default) => new(2 * input);

        public ValueTask<InferenceResult<int>> TryInferAsync(int input, InferenceOptions options = default, CancellationToken cancellationToken = default) => new(InferenceResult<int>.Success(2 * input));

        public ValueTask<InferenceResult<int>> TryInferIntoAsync(int input, int destination, InferenceOptions options = default, CancellationToken cancellationToken = default) =>
            new(InferenceResult<int>.Success(2 * input));
    }
}
