using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>What a fake client does wrong, once.</summary>
internal enum ClientFault
{
    None = 0,
    LosesAnAnswer,
    AnswersTwice,
    SwapsTwoAnswers,
    AnswersAPoison,
    FailsAHealthyCall,
    RefusesWhatIsToBeServedLate,
    RefusesBeforeTheStop,
    CancelsWhatNobodyTookBack,
    RunsWhatWasTakenBack,
    RunsWhatHasEnded,
    RunsWhatHasExpired,
    RunsTheSameTwiceAtATime,
    MixesKeys,
    WritesAfterTheEnd,
}

/// <summary>A client with no engine behind it, right but for one fault: what shows that the harness accepts a right client, and finds each wrong one out.</summary>
internal sealed class FakeClient(RequestLedger ledger, ClientFault fault) : IModelClient<StressCall, Reply>
{
    private readonly StressMachine _machine = new(ledger, "fake");
    private readonly ConcurrentQueue<Task> _background = new();
    private int _isDone;
    private Call? _toSwap;

    public string ModelName => "fake";

    /// <returns>When the client does nothing any more.</returns>
    public Task EndAsync() => Task.WhenAll(_background);

    public bool HasDoneIt => Volatile.Read(ref _isDone) == 1;

    public ValueTask<Reply> InferAsync(StressCall input, InferenceOptions options, CancellationToken cancellationToken)
    {
        var call = Begin(input, cancellationToken);
        return new ValueTask<Reply>(call, 0);
    }

    public ValueTask<Reply> InferIntoAsync(StressCall input, Reply destination, InferenceOptions options, CancellationToken cancellationToken) =>
        InferAsync(input, options, cancellationToken);

    public ValueTask<InferenceResult<Reply>> TryInferAsync(StressCall input, InferenceOptions options, CancellationToken cancellationToken) =>
        new(Begin(input, cancellationToken), 0);

    public ValueTask<InferenceResult<Reply>> TryInferIntoAsync(StressCall input, Reply destination, InferenceOptions options, CancellationToken cancellationToken) =>
        TryInferAsync(input, options, cancellationToken);

    private Call Begin(StressCall input, CancellationToken token)
    {
        var call = new Call(token);
        if (token.IsCancellationRequested)
        {
            call.End(InferenceResult<Reply>.Cancellation());
            return call;
        }
        if (input.IsInvalid)
        {
            call.End(InferenceResult<Reply>.Failure(new InvalidInputException("input", "invalid")));
            return call;
        }
        token.UnsafeRegister(_ =>
        {
            call.End(InferenceResult<Reply>.Cancellation());
            if (fault == ClientFault.RunsWhatWasTakenBack && input.Plan == CancelPlan.Later)
            {
                InTheBackground(() => Do(ClientFault.RunsWhatWasTakenBack, () =>
                {
                    SpinWait.SpinUntil(() => input.CancelSettled > 0);
                    Run(input);
                }));
            }
        }, null);
        InTheBackground(() => Serve(input, call));
        return call;
    }

    private void InTheBackground(Action act) => _background.Enqueue(Task.Run(act));

    private void Serve(StressCall input, Call call)
    {
        if (input.Plan == CancelPlan.WhileItRuns)
        {
            input.Cancel();
        }
        if (!call.TryTake())
        {
            return;
        }
        if (Misbehave(input, call))
        {
            return;
        }
        if (input.IsPoison)
        {
            var error = new StressFault("poison");
            input.Excuse(error);
            call.End(InferenceResult<Reply>.Failure(new InferenceFailedException(ModelName, error.Message, error)));
        }
        else
        {
            call.End(Answer(input));
        }
    }

    /// <returns>Whether the call is done with, for now or for ever.</returns>
    private bool Misbehave(StressCall input, Call call) => fault switch
    {
        ClientFault.LosesAnAnswer => Do(fault, () => { }),
        ClientFault.AnswersTwice when !input.IsPoison => Do(fault, () => call.EndTwice(Answer(input))),
        ClientFault.SwapsTwoAnswers when !input.IsPoison => Swap(input, call),
        ClientFault.AnswersAPoison when input.IsPoison => Do(fault, () => call.End(Answer(input))),
        ClientFault.FailsAHealthyCall when !input.IsPoison => Do(fault, () =>
            call.End(InferenceResult<Reply>.Failure(new InferenceFailedException(ModelName, "why not", new StressFault("nobody's"))))),
        ClientFault.RefusesWhatIsToBeServedLate when input.Options.WhenUnreachable == WhenUnreachable.ServeLate =>
            Do(fault, () => Reject(call, RejectionReason.DeadlineUnreachable)),
        ClientFault.RefusesBeforeTheStop => Do(fault, () => Reject(call, RejectionReason.Draining)),
        ClientFault.CancelsWhatNobodyTookBack when input.Plan == CancelPlan.NoToken => Do(fault, () => call.End(InferenceResult<Reply>.Cancellation())),
        ClientFault.RunsWhatHasEnded when IsPlain(input) => Do(fault, () =>
        {
            call.End(Answer(input));
            SpinWait.SpinUntil(() => input.EndedAt > 0);
            Run(input);
        }),
        ClientFault.RunsWhatHasExpired when input is { IsPoison: false, Plan: CancelPlan.Never, Options: { WhenUnreachable: WhenUnreachable.Reject, Timeout: { } timeout } }
            && timeout < TimeSpan.FromSeconds(1) => Do(fault, () =>
            {
                SpinWait.SpinUntil(() => input.BeganAt > 0 && TimeProvider.System.GetElapsedTime(input.BeganTimestamp) > timeout);
                Run(input);
                call.End(Answer(input));
            }),
        ClientFault.RunsTheSameTwiceAtATime when IsPlain(input) => Do(fault, () =>
        {
            Start(input);
            Start(input);
            call.End(Answer(input));
        }),
        ClientFault.MixesKeys when IsPlain(input) => Do(fault, () =>
        {
            Start(input, new StressCall(ledger, -1, CancelPlan.NoToken) { Options = new InferenceOptions { Key = "another" } });
            call.End(Answer(input));
        }),
        ClientFault.WritesAfterTheEnd when IsPlain(input) && input.Destination is not null => Do(fault, () =>
        {
            call.End(InferenceResult<Reply>.Success(new Reply { Value = input.Expected }));
            SpinWait.SpinUntil(() => input.EndedAt > 0);
            new StressRun(ledger, _machine, new RequestBatch<StressCall>(new[] { input }), new GivingSink(input)).Answer(0);
        }),
        _ => false,
    };

    /// <returns>Whether running the call at any time is wrong for one reason only: nobody takes it back, and it does not expire.</returns>
    private static bool IsPlain(StressCall input) =>
        input is { IsPoison: false, Plan: CancelPlan.NoToken, Options.Timeout: null or { TotalMinutes: > 1 } };

    private bool Swap(StressCall input, Call call)
    {
        if (HasDoneIt)
        {
            return false;
        }
        call.Result = Answer(input);
        var other = Interlocked.Exchange(ref _toSwap, null);
        if (other is null)
        {
            if (Interlocked.CompareExchange(ref _toSwap, call, null) is not null)
            {
                return false;
            }
            // Two others may have been swapped meanwhile, and nobody comes for this one.
            return !HasDoneIt || Interlocked.CompareExchange(ref _toSwap, null, call) != call;
        }
        Do(ClientFault.SwapsTwoAnswers, () => { });
        call.End(other.Result);
        other.End(call.Result);
        if (Interlocked.Exchange(ref _toSwap, null) is { } left)
        {
            left.End(left.Result);
        }
        return true;
    }

    private bool Do(ClientFault what, Action act)
    {
        if (what != fault || Interlocked.Exchange(ref _isDone, 1) == 1)
        {
            return false;
        }
        act();
        return true;
    }

    private static InferenceResult<Reply> Answer(StressCall input) => InferenceResult<Reply>.Success(new Reply { Value = input.Expected });

    private void Reject(Call call, RejectionReason reason) => call.End(InferenceResult<Reply>.Failure(new InferenceRejectedException(ModelName, reason)));

    private StressRun Start(params StressCall[] calls)
    {
        var run = new StressRun(ledger, _machine, new RequestBatch<StressCall>(calls), new GivingSink(calls[0]));
        run.Enter(calls.Length, new DispatchFloor(ledger.Tick(), TimeProvider.System.GetTimestamp()));
        return run;
    }

    private void Run(StressCall input) => Start(input).Leave();

    /// <summary>Gives its caller's memory to whoever asks.</summary>
    private sealed class GivingSink(StressCall call) : IBatchSink<Reply>
    {
        public void SetResult(int index, Reply result)
        {
            // Nobody hears it.
        }

        public void SetError(int index, Exception error)
        {
            // Nobody hears it.
        }

        public bool TryGetDestination(int index, [MaybeNullWhen(false)] out Reply destination) =>
            (destination = call.Destination) is not null;
    }

    /// <summary>One call. Other than the engine's it can end twice.</summary>
    private sealed class Call(CancellationToken token) : IValueTaskSource<Reply>, IValueTaskSource<InferenceResult<Reply>>
    {
        private readonly Lock _gate = new();
        private bool _isTaken;
        private bool _hasEnded;
        private Action? _continuation;

        public InferenceResult<Reply> Result { get; set; }

        /// <summary>From here the call's token does not end it.</summary>
        public bool TryTake()
        {
            lock (_gate)
            {
                return !_hasEnded && (_isTaken = true);
            }
        }

        public void End(in InferenceResult<Reply> result)
        {
            Action? continuation;
            lock (_gate)
            {
                if (_hasEnded || (_isTaken && result.Status == InferenceStatus.Cancelled && token.CanBeCanceled))
                {
                    return;
                }
                Result = result;
                _hasEnded = true;
                continuation = _continuation;
            }
            continuation?.Invoke();
        }

        public void EndTwice(in InferenceResult<Reply> result)
        {
            // Whoever has not listened yet would find one end only.
            while (Volatile.Read(ref _continuation) is null)
            {
                Thread.Yield();
            }
            End(result);
            _continuation!();
        }

        public ValueTaskSourceStatus GetStatus(short version)
        {
            lock (_gate)
            {
                return _hasEnded ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;
            }
        }

        public void OnCompleted(Action<object?> continuation, object? state, short version, ValueTaskSourceOnCompletedFlags flags)
        {
            lock (_gate)
            {
                _continuation = () => continuation(state);
                if (!_hasEnded)
                {
                    return;
                }
            }
            _continuation();
        }

        InferenceResult<Reply> IValueTaskSource<InferenceResult<Reply>>.GetResult(short version) => Result;

        Reply IValueTaskSource<Reply>.GetResult(short version) => Result.Status switch
        {
            InferenceStatus.Succeeded => Result.Value,
            InferenceStatus.Cancelled => throw new OperationCanceledException(token),
            _ => throw Result.Error!,
        };
    }
}
