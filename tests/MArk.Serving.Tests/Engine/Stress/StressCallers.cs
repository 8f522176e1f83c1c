namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>The callers: each asks, takes back and waits as its own random numbers have it, through the public client alone.</summary>
internal sealed class StressCallers(IModelClient<StressCall, Reply> client, RequestLedger ledger, StressSettings settings)
{
    private int _numbers = -1;

    /// <summary>What else happens with a call: the world's events, the stop in the middle.</summary>
    public Action<Random, int> OnCall { get; init; } = (_, _) => { };

    public int Total => settings.Callers * settings.CallsPerCaller;

    /// <returns>When every caller has asked all it wanted to, and all of its calls have ended.</returns>
    public Task RunAsync() => Task.WhenAll(Enumerable.Range(0, settings.Callers).Select(i => Task.Run(() => RunAsync(new Random(unchecked(settings.Seed * 7919 + i))))));

    private async Task RunAsync(Random random)
    {
        var underWay = new Queue<StressCall>();
        for (var i = 0; i < settings.CallsPerCaller; i++)
        {
            var call = NextCall(random);
            OnCall(random, call.Number);
            Begin(call, random);
            underWay.Enqueue(call);
            if (call.Plan == CancelPlan.AtOnce)
            {
                call.Cancel();
            }
            if (random.Next(4) == 0)
            {
                CancelOneOf(underWay, random);
            }
            // A model that refuses for now is given time, or the callers would have asked all they want before it can serve again.
            while (underWay.Count >= settings.Window || (call.IsRefusedForNow && underWay.Count > 0))
            {
                CancelOneOf(underWay, random);
                await EndOfAsync(underWay.Dequeue());
            }
        }
        while (underWay.TryDequeue(out var call))
        {
            await EndOfAsync(call);
        }
    }

    private static async Task EndOfAsync(StressCall call)
    {
        await call.Done.Task;
        if (call.Plan == CancelPlan.AfterItsAnswer)
        {
            call.Cancel();
        }
    }

    private static void CancelOneOf(Queue<StressCall> underWay, Random random)
    {
        if (underWay.ElementAt(random.Next(underWay.Count)) is { Plan: CancelPlan.Later } call)
        {
            call.Cancel();
        }
    }

    private StressCall NextCall(Random random)
    {
        var plan = random.Next(100) switch
        {
            < 45 => CancelPlan.NoToken,
            < 60 => CancelPlan.Never,
            < 63 => CancelPlan.BeforeItAsks,
            < 69 => CancelPlan.WhileItAsks,
            < 75 => CancelPlan.AtOnce,
            < 85 => CancelPlan.Later,
            < 95 => CancelPlan.WhileItRuns,
            _ => CancelPlan.AfterItsAnswer,
        };
        TimeSpan? timeout = random.Next(100) switch
        {
            < 30 => null,
            < 60 => TimeSpan.FromMicroseconds(random.Next(20, 4000)),
            < 65 => TimeSpan.FromTicks(random.Next(1, 100)),
            < 99 => TimeSpan.FromMinutes(random.Next(1, 100)),
            _ => TimeSpan.MaxValue,
        };
        var isInvalid = random.Next(50) == 0;
        return new StressCall(ledger, Interlocked.Increment(ref _numbers), plan)
        {
            PastLosses = ledger.PastLosses,
            Options = new InferenceOptions
            {
                // Either kind of what is refused before it is queued: the options, and the input, which the runner's factory looks at.
                Timeout = isInvalid && random.Next(2) == 0 ? TimeSpan.FromTicks(-random.Next(2)) : timeout,
                Priority = (RequestPriority)random.Next(-1, 2),
                Key = random.Next(3) switch { 0 => "a", 1 => "b", _ => null },
                WhenUnreachable = random.Next(4) switch { 0 => null, var mode => (WhenUnreachable)(mode - 1) },
                Tenant = random.Next(settings.Tenants + 1) switch { 0 => null, var tenant => $"t{tenant}" },
            },
            Weight = random.Next(1, StressCall.MaxWeight + 1),
            Bytes = random.Next(StressCall.MaxBytes + 1),
            Shape = random.Next(10) == 0 ? 1 : 0,
            IsPoison = random.Next(25) == 0,
            IsInvalid = isInvalid,
            Throws = random.Next(3) == 0,
            Destination = random.Next(3) == 0 ? new Reply() : null,
        };
    }

    private void Begin(StressCall call, Random random)
    {
        ledger.Begin(call);
        if (call.Plan == CancelPlan.BeforeItAsks)
        {
            call.Cancel();
        }
        else if (call.Plan == CancelPlan.WhileItAsks)
        {
            _ = Task.Run(call.Cancel);
            if (random.Next(2) == 0)
            {
                Thread.Yield();
            }
        }
        if (call.Throws)
        {
            Ask(call, () => Infer(call), reply => new StressOutcome(InferenceStatus.Succeeded, reply, null, null, null));
        }
        else
        {
            Ask(call, () => TryInfer(call), result => new StressOutcome(result.Status, result.Succeeded ? result.Value : null, result.Error, result.Spilled, result.InTime));
        }
    }

    private ValueTask<Reply> Infer(StressCall call) => call.Destination is { } destination
        ? client.InferIntoAsync(call, destination, call.Options, call.Token)
        : client.InferAsync(call, call.Options, call.Token);

    private ValueTask<InferenceResult<Reply>> TryInfer(StressCall call) => call.Destination is { } destination
        ? client.TryInferIntoAsync(call, destination, call.Options, call.Token)
        : client.TryInferAsync(call, call.Options, call.Token);

    /// <summary>Listens by hand: an <see langword="await"/> could not tell an end from a second one.</summary>
    private void Ask<T>(StressCall call, Func<ValueTask<T>> ask, Func<T, StressOutcome> read)
    {
        try
        {
            var awaiter = ask().GetAwaiter();
            call.Began(TimeProvider.System.GetTimestamp());
            if (awaiter.IsCompleted)
            {
                End();
            }
            else
            {
                awaiter.UnsafeOnCompleted(End);
            }

            void End() => ledger.End(call, Outcome(call, () => read(awaiter.GetResult())));
        }
        catch (Exception e)
        {
            ledger.Violate($"{call}: asking threw {e}");
            call.Done.TrySetResult();
        }
    }

    private StressOutcome Outcome(StressCall call, Func<StressOutcome> read)
    {
        try
        {
            return read();
        }
        catch (OperationCanceledException e)
        {
            if (e.CancellationToken != call.Token)
            {
                ledger.Violate($"{call}: it was cancelled by a token that is not its own");
            }
            return new StressOutcome(InferenceStatus.Cancelled, null, null, null, null);
        }
        catch (ServingException e)
        {
            return new StressOutcome(InferenceResult<Reply>.Failure(e).Status, null, e, null, null);
        }
        catch (Exception e)
        {
            return new StressOutcome(InferenceStatus.None, null, e, null, null);
        }
    }
}
