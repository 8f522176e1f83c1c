using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>Time that the test lets pass, and that tells when somebody has begun to wait: nothing is waited for that is not waited for yet.</summary>
internal sealed class TestTime() : FakeTimeProvider(new DateTimeOffset(2026, 1, 5, 12, 0, 0, TimeSpan.Zero))
{
    private readonly Lock _gate = new();
    private readonly List<Waiting> _waiting = [];
    private readonly List<(Func<bool> When, TaskCompletionSource Met)> _awaited = [];

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var waiting = new Waiting(this, dueTime, GetUtcNow() + (dueTime < TimeSpan.Zero ? TimeSpan.Zero : dueTime));
        waiting.Timer = base.CreateTimer(callback, state, dueTime, period);
        lock (_gate)
        {
            _waiting.Add(waiting);
            foreach (var awaited in _awaited.Where(a => a.When()).ToArray())
            {
                _awaited.Remove(awaited);
                awaited.Met.SetResult();
            }
        }
        return waiting;
    }

    /// <summary>Waits until so many wait for as long.</summary>
    public Task ArmedAsync(TimeSpan interval, int count = 1)
    {
        lock (_gate)
        {
            var met = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            bool IsMet() => _waiting.Count(w => w.For == interval && w.Until > GetUtcNow()) >= count;
            if (IsMet())
            {
                met.SetResult();
            }
            else
            {
                _awaited.Add((IsMet, met));
            }
            return met.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    /// <summary>Waits until somebody waits that long, and lets it pass.</summary>
    public async Task PassAsync(TimeSpan interval, int count = 1)
    {
        await ArmedAsync(interval, count);
        Advance(interval);
    }

    private sealed class Waiting(TestTime time, TimeSpan interval, DateTimeOffset until) : ITimer
    {
        public TimeSpan For { get; } = interval;

        public DateTimeOffset Until { get; } = until;

        public ITimer? Timer { get; set; }

        public bool Change(TimeSpan dueTime, TimeSpan period) => Timer!.Change(dueTime, period);

        public void Dispose()
        {
            lock (time._gate)
            {
                time._waiting.Remove(this);
            }
            Timer!.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
