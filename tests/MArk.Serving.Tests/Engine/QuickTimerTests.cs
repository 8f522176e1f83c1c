using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>Timers that share a thread: each calls back once for each time that it is set.</summary>
public sealed class QuickTimerTests
{
    private static readonly TimeSpan Never = TimeSpan.FromDays(1);
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task CallsBackOnceForEachTimeItIsSetAndMaySetItselfAnew()
    {
        using var called = new SemaphoreSlim(0);
        var count = 0;
        QuickTimer timer = null!;
        timer = new QuickTimer(() =>
        {
            if (Interlocked.Increment(ref count) < 3)
            {
                timer.Set(TimeSpan.FromMilliseconds(1));
            }
            called.Release();
        });
        timer.Set(TimeSpan.Zero);
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await called.WaitAsync(GivenUp, TestContext.Current.CancellationToken));
        }
        // What is due later comes later: by then a fourth would have come.
        await DueAsync(TimeSpan.FromMilliseconds(5));
        Assert.Equal((3, 0), (Volatile.Read(ref count), called.CurrentCount));
    }

    [Fact]
    public async Task IsNotHeldUpByOneThatIsDueLater()
    {
        var later = new QuickTimer(() => { });
        later.Set(Never);
        await DueAsync(TimeSpan.FromMilliseconds(1));
        await DueAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task OneThatIsSetAlreadyIsSetAnew()
    {
        using var called = new SemaphoreSlim(0);
        var timer = new QuickTimer(() => called.Release());
        timer.Set(TimeSpan.Zero);
        Assert.True(await called.WaitAsync(GivenUp, TestContext.Current.CancellationToken));
        timer.Set(Never);
        timer.Set(TimeSpan.FromMilliseconds(1));
        Assert.True(await called.WaitAsync(GivenUp, TestContext.Current.CancellationToken));
    }

    private static async Task DueAsync(TimeSpan after)
    {
        using var called = new SemaphoreSlim(0);
        new QuickTimer(() => called.Release()).Set(after);
        Assert.True(await called.WaitAsync(GivenUp, TestContext.Current.CancellationToken));
    }
}
