using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>The thread that takes an engine's turns: takes each that it says it does, and none while a caller keeps it.</summary>
public sealed class TurnThreadTests
{
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(1);

    /// <summary>A turn that lasts until it is let go, and after which the thread may be woken while it is leaving.</summary>
    private sealed class Turns : IDisposable
    {
        private readonly SemaphoreSlim _begun = new(0);
        private readonly SemaphoreSlim _letGo = new(0);
        private readonly SemaphoreSlim _ended = new(0);

        public Action<TurnThread>? WhileLeaving { get; set; }

        public Thread? Thread { get; private set; }

        public void Take(TurnThread thread)
        {
            Thread = Thread.CurrentThread;
            _begun.Release();
            _letGo.Wait();
            thread.Leave();
            WhileLeaving?.Invoke(thread);
            _ended.Release();
        }

        public async Task HasBegunAsync() => Assert.True(await _begun.WaitAsync(GivenUp));

        public async Task HasEndedAsync() => Assert.True(await _ended.WaitAsync(GivenUp));

        public void LetGo() => _letGo.Release();

        public void Dispose()
        {
            _begun.Dispose();
            _letGo.Dispose();
            _ended.Dispose();
        }
    }

    private static async Task UntilWokenAsync(TurnThread thread)
    {
        using var givenUp = new CancellationTokenSource(GivenUp);
        // After a turn it falls asleep in its own time.
        while (!thread.TryWake())
        {
            givenUp.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    [Fact]
    public async Task ItTakesATurnEachTimeItIsWokenAndNoneWhileItHasOne()
    {
        using var turns = new Turns();
        var thread = new TurnThread("turns", turns.Take);
        for (var i = 0; i < 100; i++)
        {
            await UntilWokenAsync(thread);
            await turns.HasBegunAsync();
            Assert.False(thread.TryWake());
            turns.LetGo();
            await turns.HasEndedAsync();
        }
        thread.End();
    }

    [Fact]
    public async Task WokenWhileItLeavesItTakesThatTurnToo()
    {
        using var turns = new Turns();
        var woken = new List<bool>();
        turns.WhileLeaving = thread =>
        {
            // Once: a second claim finds it woken already.
            woken.Add(thread.TryWake());
            woken.Add(thread.TryWake());
            turns.WhileLeaving = null;
        };
        var thread = new TurnThread("turns", turns.Take);
        Assert.True(thread.TryWake());
        turns.LetGo();
        turns.LetGo();
        await turns.HasEndedAsync();
        await turns.HasEndedAsync();
        Assert.Equal([true, false], woken);
        thread.End();
    }

    [Fact]
    public async Task WhatATurnLeavesInTheContextOfItsThreadTheNextDoesNotFind()
    {
        var left = new AsyncLocal<string?>();
        var found = new List<string?>();
        using var turns = new Turns();
        turns.WhileLeaving = _ =>
        {
            found.Add(left.Value);
            left.Value = "left";
        };
        var thread = new TurnThread("turns", turns.Take);
        for (var i = 0; i < 2; i++)
        {
            await UntilWokenAsync(thread);
            turns.LetGo();
            await turns.HasEndedAsync();
        }
        Assert.Equal([null, null], found);
        thread.End();
    }

    [Fact]
    public async Task ToldToEndItTakesTheTurnItWasWokenForAndNoMore()
    {
        using var turns = new Turns();
        var thread = new TurnThread("turns", turns.Take);
        Assert.True(thread.TryWake());
        thread.End();
        await turns.HasBegunAsync();
        turns.LetGo();
        await turns.HasEndedAsync();
        Assert.True(turns.Thread!.Join(GivenUp));
        Assert.False(thread.TryWake());
    }
}
