using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

public sealed class RecurringEventTests
{
    private readonly Queue<Action<DateTimeOffset>> _queue = new();
    private int _runs;

    [Fact]
    public void ALoopThatIsSlowerThanTheTimerSkipsAndDoesNotFallBehind()
    {
        var recurring = new RecurringEvent(_queue.Enqueue, _ => _runs++);
        Assert.True(recurring.TryPost());
        for (var i = 0; i < 10; i++)
        {
            Assert.False(recurring.TryPost());
        }
        Assert.Single(_queue);
        Run();
        Assert.Equal(1, _runs);
        Assert.True(recurring.TryPost());
        Run();
        Assert.Equal(2, _runs);
    }

    [Fact]
    public void WhatComesWhileItRunsIsDoneAfterIt()
    {
        RecurringEvent? recurring = null;
        recurring = new RecurringEvent(_queue.Enqueue, _ =>
        {
            _runs++;
            Assert.True(recurring!.TryPost());
        });
        recurring.TryPost();
        Run();
        Assert.Single(_queue);
        Run();
        Assert.Equal(2, _runs);
    }

    [Fact]
    public void OneThatBreaksIsDoneAgain()
    {
        var recurring = new RecurringEvent(_queue.Enqueue, _ => throw new InvalidOperationException());
        recurring.TryPost();
        Assert.Throws<InvalidOperationException>(Run);
        Assert.True(recurring.TryPost());
    }

    private void Run() => _queue.Dequeue()(DateTimeOffset.UnixEpoch);
}
