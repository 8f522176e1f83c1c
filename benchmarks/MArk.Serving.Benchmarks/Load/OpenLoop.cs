using System.Diagnostics;
using System.Runtime.CompilerServices;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>
/// Issues requests at the instants they are due, whatever becomes of those before them. One thread of its own that sleeps in between;
/// inputs are shared, and the state of a call is reused, so that the generator costs as little as it can.
/// </summary>
internal sealed class OpenLoop(float[][] inputs)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private Call? _spare;       // the generator's own
    private Call? _returned;    // given back by whichever thread ended a call

    /// <summary>Runs all arrivals against a server and waits until every request has ended.</summary>
    /// <exception cref="InvalidOperationException">The server left requests without an answer.</exception>
    public async Task<LoadResult> RunAsync(IServer server, PoissonArrivals arrivals, TimeSpan slo)
    {
        GC.Collect();
        var log = new LatencyLog(arrivals);
        var issued = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => Issue(server, log, issued)) { IsBackground = true, Name = "load generator" }.Start();
        await issued.Task;
        // What has not ended by then is late whatever it does.
        await Task.WhenAny(log.Ended, Task.Delay(2 * slo));
        var result = log.Summarize(slo);
        server.RefusesWaiting = true;
        try
        {
            await log.Ended.WaitAsync(Patience);
        }
        catch (TimeoutException e)
        {
            throw new InvalidOperationException($"{server.Name} left {log.Left} of {log.Count} requests without an answer for {Patience}.", e);
        }
        server.RefusesWaiting = false;
        return result with { RefusedInTheEnd = log.CountRefused() };
    }

    private void Issue(IServer server, LatencyLog log, TaskCompletionSource issued)
    {
        try
        {
            PreciseSleep.PrepareThread();
            log.Start(Stopwatch.GetTimestamp() + Stopwatch.Frequency / 1000);
            var next = 0;
            for (var i = 0; i < log.Count; i++)
            {
                PreciseSleep.Until(log.DueAt(i));
                log.Issued(i, Stopwatch.GetTimestamp());
                var call = TakeCall();
                call.Begin(log, i, server.TryInferAsync(inputs[next]));
                next = next + 1 == inputs.Length ? 0 : next + 1;
            }
            issued.SetResult();
        }
        catch (Exception e)
        {
            issued.SetException(e);
        }
    }

    private Call TakeCall()
    {
        _spare ??= Interlocked.Exchange(ref _returned, null);
        if (_spare is not { } call)
        {
            return new Call(this);
        }
        _spare = call.Next;
        return call;
    }

    private void GiveBack(Call call)
    {
        Call? head;
        do
        {
            head = Volatile.Read(ref _returned);
            call.Next = head;
        }
        while (Interlocked.CompareExchange(ref _returned, call, head) != head);
    }

    /// <summary>One request under way: what an awaiting caller would be, without a task.</summary>
    private sealed class Call
    {
        private readonly OpenLoop _owner;
        private readonly Action _end;
        private ConfiguredValueTaskAwaitable<InferenceResult<float[]>>.ConfiguredValueTaskAwaiter _awaiter;
        private LatencyLog _log = null!;
        private int _index;

        public Call(OpenLoop owner) => (_owner, _end) = (owner, End);

        public Call? Next { get; set; }

        public void Begin(LatencyLog log, int index, ValueTask<InferenceResult<float[]>> answer)
        {
            (_log, _index) = (log, index);
            _awaiter = answer.ConfigureAwait(false).GetAwaiter();
            if (_awaiter.IsCompleted)
            {
                End();
            }
            else
            {
                _awaiter.UnsafeOnCompleted(_end);
            }
        }

        private void End()
        {
            var timestamp = Stopwatch.GetTimestamp();
            var succeeded = _awaiter.GetResult().Succeeded;
            _awaiter = default;
            var (log, index) = (_log, _index);
            _owner.GiveBack(this);
            log.End(index, succeeded, timestamp);
        }
    }
}
