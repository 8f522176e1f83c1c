using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>What a fake runner breaks with.</summary>
internal sealed class StressFault(string message) : Exception(message);

/// <summary>A version of the model: all of them are alike.</summary>
internal sealed class StressRunnerFactory(StressWorld world, bool isBroken = false) : IBatchRunnerFactory<StressCall, Reply>
{
    public ValueTask InitializeAsync(CancellationToken cancellationToken) =>
        isBroken ? ValueTask.FromException(new StressFault("this version does not load")) : ValueTask.CompletedTask;

    public RequestTraits Admit(StressCall input) =>
        input.IsInvalid ? throw new InvalidInputException("input", "it is not valid.") : new RequestTraits(input.Shape, input.Weight, input.Bytes);

    public bool TryCreateSample([MaybeNullWhen(false)] out StressCall sample)
    {
        sample = world.Settings.HasSample ? new StressCall(world.Ledger, StressRunner.Sample, CancelPlan.NoToken) : null;
        return sample is not null;
    }

    public async ValueTask<IBatchRunner<StressCall, Reply>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
    {
        await Task.Yield();
        return world.Connect(instance.Id);
    }
}

/// <summary>A runner that does what it should most of the time, and all that it should not, as its random numbers have it.</summary>
internal sealed class StressRunner : IBatchRunner<StressCall, Reply>
{
    private enum Behaviour
    {
        Well,
        AtOnce,
        AtOnceAndBreaks,
        Backwards,
        FromOtherThreads,
        BreaksAtOnce,
        BreaksHalfWay,
        FailsSome,
        AnswersTwice,
        ForgetsSome,
        AnswersAfterItsReturn,
        AnswersAfterItBroke,
        LosesItsMachine,
        FailsAsAnInstance,
        Count,
    }

    /// <summary>The number of the call that is no caller's.</summary>
    public const int Sample = -1;

    private readonly StressWorld _world;
    private readonly StressMachine _machine;
    private readonly int _seed;
    private readonly bool _returnsUnfinished;
    private readonly ConcurrentDictionary<Thread, bool> _threads = new();
    private int _runs;
    private int _running;
    private int _disposals;
    private volatile bool _hasFailed;     // as an instance, and was not probed since
    private readonly Lock _ends = new();
    private DispatchFloor _lastEnd;
    private DispatchFloor _endBefore;

    public StressRunner(StressWorld world, StressMachine machine, int number)
    {
        _world = world;
        _machine = machine;
        _seed = unchecked(world.Settings.Seed * 31 + number * 1_000_003);
        var random = new Random(_seed);
        MaxBatchSize = random.Next(1, 11);
        Slots = random.Next(3) == 0 ? 2 : 1;
        BlocksThread = random.Next(2) == 0;
        _returnsUnfinished = random.Next(2) == 0;
        _lastEnd = _endBefore = new DispatchFloor(world.Ledger.Tick(), 0);
        machine.Connect();
    }

    public int MaxBatchSize { get; }

    public int Slots { get; }

    public bool BlocksThread { get; }

    public string Id => _machine.Id;

    /// <summary>The threads it was called on, where it is to have its own.</summary>
    public IEnumerable<Thread> Threads => _threads.Keys;

    public TaskCompletionSource Disposed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ValueTask RunAsync(RequestBatch<StressCall> batch, IBatchSink<Reply> sink, CancellationToken cancellationToken)
    {
        var random = new Random(unchecked(_seed + Interlocked.Increment(ref _runs)));
        if (batch[0] is { Number: Sample })
        {
            RunSample(batch, sink, random);
            return ValueTask.CompletedTask;
        }
        if (BlocksThread)
        {
            _threads.TryAdd(Thread.CurrentThread, true);
            if (Thread.CurrentThread.IsThreadPoolThread || Thread.CurrentThread.Name?.EndsWith("'s callers", StringComparison.Ordinal) == true)
            {
                _world.Ledger.Violate($"runner {Id} blocks its thread, and was called on one of the pool, or on that of the callers");
            }
        }
        var run = RunOnceAsync(batch, sink, random, cancellationToken);
        if (!BlocksThread || _returnsUnfinished)
        {
            return new ValueTask(run);
        }
        run.GetAwaiter().GetResult();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Increment(ref _disposals) > 1 || Volatile.Read(ref _running) > 0)
        {
            _world.Ledger.Violate($"runner {Id} is disposed of {_disposals} times, and has {_running} runs under way");
        }
        _machine.Disconnect();
        Disposed.TrySetResult();
        return ValueTask.CompletedTask;
    }

    private void RunSample(RequestBatch<StressCall> batch, IBatchSink<Reply> sink, Random random)
    {
        if (_hasFailed)
        {
            _world.Ledger.OnProbe();
            if (random.Next(4) == 0)
            {
                throw new StressFault("the probe fails too");
            }
            _hasFailed = false;
        }
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, new Reply());
        }
    }

    private async Task RunOnceAsync(RequestBatch<StressCall> batch, IBatchSink<Reply> sink, Random random, CancellationToken cancellationToken)
    {
        var run = new StressRun(_world.Ledger, _machine, batch, sink);
        if (Interlocked.Increment(ref _running) > Slots || Volatile.Read(ref _disposals) > 0)
        {
            _world.Ledger.Violate($"runner {Id} with {Slots} slots has {_running} runs under way, after {_disposals} disposals");
        }
        try
        {
            run.Enter(Math.Min(MaxBatchSize, _world.Settings.MaxBatchSize), Floor(), _world.Settings.MaxBatchWeight);
            CancelThoseThatWantIt(run, random);
            for (var i = random.Next(12); i > 0; i--)
            {
                await Task.Yield();
            }
            if (_world.Ledger.MayGiveUp && random.Next(3) > 0)
            {
                await UntilCancelledAsync(run, random, cancellationToken);
            }
            else
            {
                await BehaveAsync(run, random, cancellationToken);
            }
        }
        finally
        {
            run.Leave();
            lock (_ends)
            {
                _endBefore = _lastEnd;
                _lastEnd = new DispatchFloor(_world.Ledger.Tick(), TimeProvider.System.GetTimestamp());
            }
            Interlocked.Decrement(ref _running);
        }
    }

    /// <summary>When a batch that begins now was dispatched at the earliest.</summary>
    private DispatchFloor Floor()
    {
        lock (_ends)
        {
            // With more slots than one, before others that have ended meanwhile. A short one may have waited behind the one before it.
            return Slots > 1 ? default : BlocksThread ? _endBefore : _lastEnd;
        }
    }

    private static void CancelThoseThatWantIt(StressRun run, Random random)
    {
        foreach (var call in run.Calls)
        {
            if (call.Plan == CancelPlan.WhileItRuns)
            {
                if (random.Next(2) == 0)
                {
                    call.Cancel();
                }
                else
                {
                    _ = Task.Run(call.Cancel);
                }
            }
        }
    }

    /// <summary>Ends only when the engine gives it up: then it breaks, answers all the same, or returns with nothing.</summary>
    private static async Task UntilCancelledAsync(StressRun run, Random random, CancellationToken cancellationToken)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        switch (random.Next(3))
        {
            case 0:
                throw run.Break(new OperationCanceledException(cancellationToken));
            case 1:
                AnswerAll(run, Enumerable.Range(0, run.Calls.Count));
                break;
            default:
                ForgetAll(run, Enumerable.Range(0, run.Calls.Count));
                break;
        }
    }

    private async Task BehaveAsync(StressRun run, Random random, CancellationToken cancellationToken)
    {
        var all = Enumerable.Range(0, run.Calls.Count).ToArray();
        var behaviour = random.Next(100) < _world.Settings.Faults ? (Behaviour)random.Next((int)Behaviour.Count) : random.Next(2) == 0 ? Behaviour.AtOnce : Behaviour.Well;
        if (Array.Exists(all, i => run.Calls[i].IsPoison && run.Calls[i].Number % 3 > 0))
        {
            // Two poisons of three break what batch ever holds them; of the third the runner can say that it is the one.
            behaviour = random.Next(2) == 0 ? Behaviour.BreaksAtOnce : Behaviour.BreaksHalfWay;
        }
        switch (behaviour)
        {
            case Behaviour.Backwards:
                AnswerAll(run, all.Reverse());
                break;
            case Behaviour.FromOtherThreads:
                await Task.WhenAll(all.Chunk(2).Select(chunk => Task.Run(() => AnswerAll(run, chunk), CancellationToken.None)));
                break;
            case Behaviour.BreaksAtOnce:
                throw run.Break(new StressFault("at once"));
            case Behaviour.BreaksHalfWay:
                AnswerAll(run, all.Where(i => i % 2 == 1));
                throw run.Break(new StressFault("half-way"));
            case Behaviour.FailsSome:
                foreach (var i in all)
                {
                    if (random.Next(2) == 0)
                    {
                        run.Fail(i, new StressFault("this one"));
                    }
                    else
                    {
                        AnswerOne(run, i);
                    }
                }
                break;
            case Behaviour.AnswersTwice:
                AnswerAll(run, all);
                run.AnswerWrongly(random.Next(all.Length));
                break;
            case Behaviour.ForgetsSome:
                AnswerAll(run, all.Where(i => i % 2 == 1));
                ForgetAll(run, all.Where(i => i % 2 == 0));
                break;
            case Behaviour.AnswersAfterItsReturn:
                ForgetAll(run, all.Where(i => i % 2 == 0));
                AnswerAll(run, all.Where(i => i % 2 == 1));
                AnswerLate(run, all.Where(i => i % 2 == 0));
                break;
            case Behaviour.AnswersAfterItBroke:
                AnswerLate(run, all);
                throw run.Break(new StressFault("and answers after it"));
            case Behaviour.LosesItsMachine when _world.Lose(_machine.Id):
                AnswerAll(run, all.Where(i => i % 2 == random.Next(2)));
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                AnswerAll(run, all.Where(i => random.Next(2) == 0));
                throw new OperationCanceledException(cancellationToken);
            case Behaviour.FailsAsAnInstance when !run.Calls.Any(c => c.IsPoison):
                AnswerAll(run, all.Where(i => i % 2 == 1));
                _hasFailed = true;
                throw run.FailInstance(all.Where(i => i % 2 == 0));
            case Behaviour.AtOnce or Behaviour.AtOnceAndBreaks when !run.Calls.Any(c => c.IsPoison):
                run.AnswerAtOnce();
                if (behaviour == Behaviour.AtOnceAndBreaks)
                {
                    throw run.Break(new StressFault("with all answered"));
                }
                break;
            default:
                AnswerAll(run, all);
                break;
        }
    }

    private void AnswerLate(StressRun run, IEnumerable<int> indices, bool wrongly = false)
    {
        foreach (var i in indices)
        {
            if (!run.Calls[i].IsPoison)
            {
                _world.InTheBackground(Task.Run(() => run.AnswerLate(i, wrongly)));
            }
        }
    }

    private static void AnswerAll(StressRun run, IEnumerable<int> indices)
    {
        foreach (var i in indices)
        {
            AnswerOne(run, i);
        }
    }

    private static void AnswerOne(StressRun run, int index)
    {
        if (run.Calls[index].IsPoison)
        {
            run.Fail(index, new StressFault("poison"));
        }
        else
        {
            run.Answer(index);
        }
    }

    private static void ForgetAll(StressRun run, IEnumerable<int> indices)
    {
        foreach (var i in indices)
        {
            run.Forget(i);
        }
    }
}
