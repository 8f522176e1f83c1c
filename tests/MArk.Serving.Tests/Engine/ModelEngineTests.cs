using MArk.Serving.Batching;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

public sealed class ModelEngineTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task EveryCallerGetsTheAnswerToItsOwnInput()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double, concurrency: 2).WithSlo(TimeSpan.FromMinutes(1)));
        var answers = await Task.WhenAll(Enumerable.Range(0, 2000).Select(async i => await host.Client.InferAsync(i)));
        Assert.Equal(Enumerable.Range(0, 2000).Select(i => 2 * i), answers);
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task WhatArrivesWhileABatchRunsLeavesTogether()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).WithOptions(o => o.MaxBatchSize = 8));
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var rest = Enumerable.Range(1, 20).Select(i => host.Client.InferAsync(i, Patient).AsTask()).ToArray();
        doubler.Open();
        await Task.WhenAll([first, .. rest]);
        Assert.Equal([1, 8, 8, 4], doubler.Batches.Select(b => b.Length));
    }

    [Fact]
    public async Task OneBadRequestFailsAloneAndItsBatchMatesDoNot()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(async (batch, sink, ct) =>
        {
            if (batch.Inputs.Contains(13))
            {
                throw new FormatException("thirteen");
            }
            await doubler.RunAsync(batch, sink, ct);
        }));
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var calls = Enumerable.Range(1, 20).Select(i => host.Client.TryInferAsync(i, Patient).AsTask()).ToArray();
        doubler.Open();
        var results = await Task.WhenAll(calls);
        await first;
        foreach (var (result, input) in results.Zip(Enumerable.Range(1, 20)))
        {
            Assert.Equal(input != 13, result.Succeeded);
        }
        Assert.IsType<FormatException>(Assert.IsType<InferenceFailedException>(results[12].Error).InnerException);
    }

    [Fact]
    public async Task ARunnerThatForgetsAnIndexFailsThatRequestAlone()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch[i] != 7)
                {
                    sink.SetResult(i, batch[i]);
                }
            }
            return ValueTask.CompletedTask;
        }));
        var error = await Assert.ThrowsAsync<ContractViolationException>(async () => await host.Client.InferAsync(7, Patient));
        Assert.Contains("without an answer to request 0", error.Message);
        Assert.Equal(8, await host.Client.InferAsync(8, Patient));
    }

    [Fact]
    public async Task ARunnerThatAnswersTwiceIsReportedAndTheFirstAnswerStands()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            sink.SetResult(0, 1);
            sink.SetResult(0, 2);
            sink.SetError(0, new InvalidOperationException());
            return ValueTask.CompletedTask;
        }));
        Assert.Equal(1, await host.Client.InferAsync(0, Patient));
        await host.StopAsync();
        Assert.Equal(2, host.Log.Errors.OfType<ContractViolationException>().Count());
    }

    [Fact]
    public async Task AnIndexOutsideTheBatchIsRefused()
    {
        ArgumentOutOfRangeException? thrown = null;
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            thrown = Assert.Throws<ArgumentOutOfRangeException>(() => sink.SetResult(batch.Count, 0));
            sink.SetResult(0, 5);
            return ValueTask.CompletedTask;
        }));
        Assert.Equal(5, await host.Client.InferAsync(0, Patient));
        Assert.Contains("accepted are 0 to 0", thrown!.Message);
    }

    [Fact]
    public async Task ACancelledCallerReturnsAtOnceAndIsNeverRunIfItStillWaited()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync));
        using var runs = new CancellationTokenSource();
        using var waits = new CancellationTokenSource();
        var running = host.Client.InferAsync(1, Patient, runs.Token).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = host.Client.TryInferAsync(2, Patient, waits.Token).AsTask();
        var mate = host.Client.InferAsync(3, Patient).AsTask();
        waits.Cancel();
        runs.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(InferenceStatus.Cancelled, (await waiting).Status);
        doubler.Open();
        Assert.Equal(6, await mate);
        Assert.Equal([[1], [3]], doubler.Batches);
    }

    [Fact]
    public async Task ACallerGoneBeforeItAsksIsNotQueued()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await host.Client.InferAsync(1, default, new CancellationToken(true)));
    }

    [Fact]
    public async Task StoppingFinishesWhatWasAcceptedAndRefusesWhatIsNew()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync));
        var accepted = Enumerable.Range(0, 10).Select(i => host.Client.InferAsync(i, Patient).AsTask()).ToArray();
        await doubler.Entered.WaitAsync();
        var stop = host.StopAsync();
        InferenceResult<int> late;
        do
        {
            late = await host.Client.TryInferAsync(99, new() { Timeout = TimeSpan.FromTicks(1), WhenUnreachable = WhenUnreachable.Reject });
            await Task.Yield();
        }
        while (late.RejectionReason != RejectionReason.Draining);
        doubler.Open();
        Assert.Equal(Enumerable.Range(0, 10).Select(i => 2 * i), await Task.WhenAll(accepted));
        await stop;
        var refused = await Assert.ThrowsAsync<InferenceRejectedException>(async () => await host.Client.InferAsync(1));
        Assert.Equal(RejectionReason.Draining, refused.Reason);
    }

    [Fact]
    public async Task AnInferStormDuringStopEndsEveryCaller()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double, concurrency: 2).WithSlo(TimeSpan.FromMinutes(1)));
        var started = new CountdownEvent(4);
        var storms = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var (served, refused) = (0, 0);
            started.Signal();
            while (refused < 100)
            {
                var results = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => host.Client.TryInferAsync(i).AsTask()));
                served += results.Count(r => r.Succeeded);
                refused += results.Count(r => r.RejectionReason == RejectionReason.Draining);
                Assert.All(results, r => Assert.True(r.Succeeded || r.RejectionReason == RejectionReason.Draining, $"{r.Status} {r.Error}"));
            }
            return served;
        })).ToArray();
        started.Wait();
        await host.StopAsync();
        await Task.WhenAll(storms);
    }

    [Fact]
    public async Task AnInferStormDuringABareDisposalEndsEveryCaller()
    {
        var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double, concurrency: 2).WithSlo(TimeSpan.FromMinutes(1)));
        // Afterwards the container gives none out any more.
        var client = host.Client;
        var started = new CountdownEvent(4);
        var storms = Enumerable.Range(0, 4).Select(storm => Task.Run(async () =>
        {
            var refused = 0;
            started.Signal();
            while (refused < 100)
            {
                var reasons = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => (storm + i) % 2 == 0 ? TryAsync(i) : ThrowAsync(i)));
                refused += reasons.Count(r => r == RejectionReason.Draining);
                Assert.All(reasons, r => Assert.True(r is RejectionReason.None or RejectionReason.Draining, $"{r}"));
            }
        })).ToArray();
        started.Wait();
        await host.DisposeHostAsync();
        await Task.WhenAll(storms).WaitAsync(TimeSpan.FromMinutes(1));

        async Task<RejectionReason> TryAsync(int i)
        {
            var result = await client.TryInferAsync(i);
            Assert.True(result.Succeeded ? result.Value == 2 * i : result.Status == InferenceStatus.Rejected, $"{result.Status} {result.Error}");
            return result.RejectionReason;
        }

        async Task<RejectionReason> ThrowAsync(int i)
        {
            try
            {
                Assert.Equal(2 * i, await client.InferAsync(i));
                return RejectionReason.None;
            }
            catch (InferenceRejectedException e)
            {
                return e.Reason;
            }
        }
    }

    [Fact]
    public async Task AFullQueueRejectsWithATypedReason()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).WithOptions(o => o.MaxQueueLength = 2));
        var running = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = new[] { host.Client.InferAsync(1, Patient).AsTask(), host.Client.InferAsync(2, Patient).AsTask() };
        var result = await host.Client.TryInferAsync(3, Patient);
        Assert.Equal((InferenceStatus.Rejected, RejectionReason.QueueFull), (result.Status, result.RejectionReason));
        Assert.Throws<InvalidOperationException>(() => result.Value);
        doubler.Open();
        await Task.WhenAll([running, .. waiting]);
    }

    [Fact]
    public async Task TheQueueIsBoundedByTheBytesOfItsInputs()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).WithSize(i => i), new() { ["MArk:Models:m:MaxQueueBytes"] = "1000" });
        var running = host.Client.InferAsync(1000, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = host.Client.InferAsync(999, Patient).AsTask();
        Assert.Equal(RejectionReason.QueueFull, (await host.Client.TryInferAsync(2, Patient)).RejectionReason);
        Assert.Equal(999, host.Monitor.GetReport().WaitingBytes);
        var tooLarge = await host.Client.TryInferAsync(1001, Patient);
        Assert.Equal((InferenceStatus.Invalid, "Input 'size': it is 1001 bytes; accepted: 0 to 1000 (MaxQueueBytes)."), (tooLarge.Status, tooLarge.Error!.Message));
        doubler.Open();
        await Task.WhenAll(running, waiting);
    }

    [Fact]
    public async Task AHundredThousandKeysLeaveNothingBehind()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double, concurrency: 1));
        var most = 0;
        var calls = new Task[100];
        for (var key = 0; key < 100_000;)
        {
            for (var i = 0; i < calls.Length; i++, key++)
            {
                calls[i] = host.Client.InferAsync(key, Patient with { Key = $"key {key}" }).AsTask();
            }
            await Task.WhenAll(calls);
            most = Math.Max(most, host.Engine.KeyCount);
        }
        // A caller may have its answer a moment before its batch is told to be over.
        Assert.InRange(most, 0, 1);
        await host.StopAsync();
        Assert.Equal(0, host.Engine.KeyCount);
    }

    [Fact]
    public async Task DifferentKeysNeverShareABatch()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(doubler.RunAsync).UseBatchPolicy(_ => new FixedWindowBatchPolicy(32, TimeSpan.Zero)));
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var calls = Enumerable.Range(1, 12).Select(i => host.Client.InferAsync(i, Patient with { Key = (i % 3).ToString() }).AsTask()).ToArray();
        doubler.Open();
        await Task.WhenAll([first, .. calls]);
        Assert.All(doubler.Batches.Skip(1), batch => Assert.Single(batch.Select(i => i % 3).Distinct()));
        Assert.True(doubler.Batches.Count == 4, string.Join(" | ", doubler.Batches.Select(b => string.Join(",", b))));
    }

    [Fact]
    public async Task APolicyThatAnswersNonsenseIsReportedAndNothingIsLost()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double).UseBatchPolicy(_ => new HugePolicy()));
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(async i => await host.Client.InferAsync(i, Patient)));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => 2 * i), answers);
        await host.StopAsync();
        var error = Assert.IsType<ContractViolationException>(host.Log.Errors.First());
        Assert.Contains("dispatch 1000000; accepted are 1 to", error.Message);
        Assert.Equal(nameof(HugePolicy), error.PartName);
    }

    private sealed class HugePolicy : IBatchPolicy
    {
        public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(1_000_000);

        public void Completed(in BatchFeedback feedback)
        {
            // Learns nothing.
        }
    }

    [Fact]
    public async Task WhatTheFleetCannotFinishInTimeIsSpilled()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(doubler.RunAsync).UseBatchPolicy(_ => new NoBatchingPolicy()).WithOptions(o => o.MaxQueueLength = 1)
            .UseSpillover(_ => new ImmediateSpillover()));
        var running = host.Client.TryInferAsync(1, new() { Timeout = TimeSpan.FromMinutes(5) }).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = host.Client.TryInferAsync(2, new() { Timeout = TimeSpan.FromMinutes(5) }).AsTask();
        var spilled = await host.Client.TryInferAsync(3, new() { Timeout = TimeSpan.FromMinutes(5) });
        Assert.True(spilled.Spilled);
        Assert.Equal(-3, spilled.Value);
        doubler.Open();
        Assert.False((await running).Spilled);
        Assert.Equal(4, (await waiting).Value);
    }

    private sealed class ImmediateSpillover : ISpilloverTarget<int, int>
    {
        public SpilloverQuote GetQuote() => new()
        {
            Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
            Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
            FreeConcurrency = 100,
            ValidFor = TimeSpan.FromMinutes(1),
        };

        public ValueTask InferAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            sink.SetResult(0, -batch[0]);
            return ValueTask.CompletedTask;
        }
    }

    [Theory]
    [InlineData("Slo", "00:00:00", "MArk:Models:m:Slo is 00:00:00; accepted: more than 00:00:00, at most 1.00:00:00.")]
    [InlineData("ServiceLevel", "1", "MArk:Models:m:ServiceLevel is 1; accepted: more than 0, less than 1.")]
    [InlineData("MaxBatchSize", "0", "MArk:Models:m:MaxBatchSize is 0; accepted: 1 to 65536.")]
    [InlineData("MaxBatchWeight", "0", "MArk:Models:m:MaxBatchWeight is 0; accepted: 1 to 2147483647, or nothing for no limit.")]
    [InlineData("MaxQueueBytes", "0", "MArk:Models:m:MaxQueueBytes is 0; accepted: 1 to 1152921504606846976.")]
    [InlineData("MaxRetryRuns", "-1", "MArk:Models:m:MaxRetryRuns is -1; accepted: 0 to 1000000.")]
    [InlineData("Fleet:MaxHourlySpend", "-1", "MArk:Models:m:Fleet:MaxHourlySpend is -1; accepted: 0 to 1e9, or nothing for no limit.")]
    [InlineData("PriorityHeadroom", "0.95", "MArk:Models:m:PriorityHeadroom is 0.95; accepted: 0 to 0.9.")]
    [InlineData("Tenants:gold", "0", "MArk:Models:m:Tenants:gold is 0; accepted: 0.001 to 1000.")]
    [InlineData("MaxQueueLength", "-1", "MArk:Models:m:MaxQueueLength is -1; accepted: 1 to 10000000.")]
    public async Task ABadSettingFailsTheStartAndIsNamed(string key, string value, string message)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => ServingHost.StartAsync(
            m => m.UseBatchFunction(Double), new() { [$"MArk:Models:m:{key}"] = value }));
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public async Task ABatchIsLimitedByTheWeightOfItsInputs()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).WithWeight(i => i).WithOptions(o => o.MaxBatchWeight = 100));
        var first = host.Client.InferAsync(1, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var rest = new[] { 60, 40, 50, 51, 49 }.Select(i => host.Client.InferAsync(i, Patient).AsTask()).ToArray();
        doubler.Open();
        await Task.WhenAll([first, .. rest]);
        Assert.Equal([[1], [60, 40], [50], [51, 49]], doubler.Batches);
    }

    [Theory]
    [InlineData(101)]
    [InlineData(0)]
    public async Task ARequestHeavierThanABatchMayBeIsRefusedNamingWeightAndLimit(int weight)
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double).WithWeight(i => i), new() { ["MArk:Models:m:MaxBatchWeight"] = "100" });
        var error = await Assert.ThrowsAsync<InvalidInputException>(async () => await host.Client.InferAsync(weight));
        Assert.Equal($"Input 'weight': it is {weight}; accepted: 1 to 100 (MaxBatchWeight).", error.Message);
        Assert.Equal(200, await host.Client.InferAsync(100));
    }

    [Fact]
    public async Task TenantsAreServedTheirSharesAsConfigured()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction(doubler.RunAsync), new() { ["MArk:Models:m:Tenants:gold"] = "3", ["MArk:Models:m:MaxBatchSize"] = "8" });
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var iron = Enumerable.Range(0, 8).Select(_ => host.Client.InferAsync(1, Patient with { Tenant = "iron" }).AsTask()).ToArray();
        var gold = Enumerable.Range(0, 8).Select(_ => host.Client.InferAsync(2, Patient with { Tenant = "gold" }).AsTask()).ToArray();
        await host.UntilAsync(r => r.Waiting == 16);
        doubler.Open();
        await Task.WhenAll([first, .. iron, .. gold]);
        Assert.Equal(6, doubler.Batches.ElementAt(1).Count(i => i == 2));
    }

    [Fact]
    public async Task ATimeoutOfNothingIsRefused()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(Double));
        var result = await host.Client.TryInferAsync(1, new() { Timeout = TimeSpan.Zero });
        Assert.Equal(InferenceStatus.Invalid, result.Status);
        Assert.Contains("options.Timeout", result.Error!.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WhatARunFindsNotToFitHasFailed(bool throws)
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            var misfit = new InvalidInputException("y", "the destination holds 1 values, and the answer has 2.");
            if (throws)
            {
                throw misfit;
            }
            sink.SetError(0, misfit);
            return ValueTask.CompletedTask;
        }));
        var result = await host.Client.TryInferIntoAsync(1, 5, Patient);
        Assert.Equal(InferenceStatus.Failed, result.Status);
        Assert.Equal("Model 'm' failed the request: Input 'y': the destination holds 1 values, and the answer has 2.", Assert.IsType<InferenceFailedException>(result.Error).Message);
        Assert.IsType<InvalidInputException>(result.Error.InnerException);
        await host.UntilAsync(r => r.Failed == 1);
    }

    [Fact]
    public async Task ADestinationThatDoesNotFitIsRefusedBeforeItsRequestIsQueued()
    {
        var model = new VersionedModel(2) { TakesDestination = d => d == 5 ? throw new InvalidInputException("y", "it is 5.") : true };
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => model));
        var refused = await host.Client.TryInferIntoAsync(1, 5, Patient);
        Assert.Equal((InferenceStatus.Invalid, "Input 'y': it is 5."), (refused.Status, refused.Error!.Message));
        await Assert.ThrowsAsync<InvalidInputException>(async () => await host.Client.InferIntoAsync(1, 5, Patient));
        Assert.Equal(2, await host.Client.InferIntoAsync(1, 6, Patient));
        Assert.Equal(2, await host.Client.InferAsync(1, Patient));
        var report = await host.UntilAsync(r => r.Succeeded == 2);
        Assert.Equal(0, report.Failed);
    }

    [Fact]
    public async Task AModelWithNothingToRunItIsRefused() =>
        Assert.Contains("UseBatchFunction", (await Assert.ThrowsAsync<ArgumentException>(() => ServingHost.StartAsync(_ => { }))).Message);
}
