using System.Globalization;
using MArk.Serving.Batching;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Requests that come together are let in at once where they need no closer look, and nobody can tell that they were not let in one by one.</summary>
public sealed class ArrivalsTogetherTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void AreTreatedAsIfEachHadComeAlone(int seed)
    {
        var random = new Random(seed);
        var unit = seed % 2 == 0 ? 1 : 1L << 31;
        var shapes = seed % 4 < 2 ? 1 : 3;
        var settings = new SchedulerSettings
        {
            ModelName = "m",
            Slo = Ms(50),
            MaxBatchSize = random.Next(1, 9),
            MaxQueueLength = random.Next(5, 80),
            MaxQueueBytes = random.Next(2) == 0 ? long.MaxValue : random.Next(50, 500) * unit,
            MaxBatchWeight = random.Next(4) == 0 ? 20 : SchedulerSettings.NoWeightLimit,
            PriorityHeadroom = random.Next(2) * 0.3,
            CreatePolicy = _ => new SloAwareBatchPolicy(),
        };
        var (alone, together) = (new Side(settings), new Side(settings));
        var now = TimeSpan.Zero;
        foreach (var side in new[] { alone, together })
        {
            side.Scheduler.OnInstanceReady(now, 0, 0, settings.MaxBatchSize, 1, LatencyProfile.Linear(Ms(5), Ms(1), settings.MaxBatchSize));
            side.Scheduler.OnInstanceReady(now, 1, 0, settings.MaxBatchSize, 2, LatencyProfile.Linear(Ms(5), Ms(1), settings.MaxBatchSize));
        }
        for (var step = 0; step < 300; step++)
        {
            switch (random.Next(8))
            {
                case < 3:
                    var asked = new Asked(
                        random.Next(3) == 0 ? random.Next(1, 200) : null, random.Next(shapes), (RequestPriority)random.Next(-1, 2), (WhenUnreachable)random.Next(3), random.Next(1, 4), random.Next(2) == 0 ? random.Next(2) : random.Next(30) * unit,
                        random.Next(4) == 0 ? "t" + random.Next(2) : null);
                    var count = random.Next(1, 30);
                    alone.ArriveAlone(now, asked, count);
                    together.ArriveTogether(now, asked, count);
                    break;
                case < 6:
                    alone.Complete(now);
                    together.Complete(now);
                    break;
                case 6:
                    var which = random.Next();
                    alone.Cancel(now, which);
                    together.Cancel(now, which);
                    break;
                default:
                    now += Ms(random.Next(3) == 0 ? random.Next(1, 40) : random.NextDouble());
                    break;
            }
            AssertLikewise();
            Assert.Equal(alone.Ids.Count, together.Ids.Count);
            Assert.Equal(
                (alone.Scheduler.WaitingCount, alone.Scheduler.WaitingBytes, alone.Scheduler.LateCount, alone.Scheduler.RequestCount, alone.Scheduler.KeyCount, alone.Scheduler.TenantCount),
                (together.Scheduler.WaitingCount, together.Scheduler.WaitingBytes, together.Scheduler.LateCount, together.Scheduler.RequestCount, together.Scheduler.KeyCount, together.Scheduler.TenantCount));
        }
        alone.Scheduler.OnStopping(now);
        together.Scheduler.OnStopping(now);
        Assert.Equal(0, together.Scheduler.OnArrivals(now, new Asked(null, 0, RequestPriority.Normal, WhenUnreachable.ServeLate, 1, 0, null).Terms(together.Scheduler, now), new RequestId[1]));
        while (alone.Complete(now) | together.Complete(now))
        {
            AssertLikewise();
        }
        Assert.Equal(alone.Ids, together.Ids);
        // Requests of several shapes need a closer look where others wait.
        Assert.True(together.LetInTogether > 0 || shapes > 1 || settings.MaxBatchWeight != SchedulerSettings.NoWeightLimit);
        Assert.True(together.LetInAlone > 0);

        void AssertLikewise()
        {
            Assert.Equal(alone.Log, together.Log);
            alone.Log.Clear();
            together.Log.Clear();
        }
    }

    private sealed record Asked(double? TimeoutMs, int Shape, RequestPriority Priority, WhenUnreachable Mode, int Weight, long Bytes, string? Tenant)
    {
        public RequestTerms Terms(ModelScheduler scheduler, TimeSpan now) => new(
            now + Ms(TimeoutMs ?? 50), scheduler.GroupOf(Shape, null), Priority, Mode, TimeoutMs is not null, Weight, Bytes, scheduler.TenantOf(Tenant));
    }

    /// <summary>A scheduler, what it was told and what it commanded.</summary>
    private sealed class Side(SchedulerSettings settings)
    {
        private readonly Queue<DispatchedBatch> _running = new();

        public ModelScheduler Scheduler { get; } = new(settings);

        public List<RequestId> Ids { get; } = [];

        public List<string> Log { get; } = [];

        public int LetInTogether { get; private set; }

        public int LetInAlone { get; private set; }

        public void ArriveAlone(TimeSpan now, Asked asked, int count)
        {
            for (var i = 0; i < count; i++)
            {
                Ids.Add(Scheduler.OnArrival(now, asked.Terms(Scheduler, now), more: true));
                LetInAlone++;
            }
            Scheduler.OnArrivalsEnd(now);
            Take();
        }

        public void ArriveTogether(TimeSpan now, Asked asked, int count)
        {
            var ids = new RequestId[count];
            var letIn = Scheduler.OnArrivals(now, asked.Terms(Scheduler, now), ids);
            Ids.AddRange(ids.Take(letIn));
            LetInTogether += letIn;
            ArriveAlone(now, asked, count - letIn);
        }

        public bool Complete(TimeSpan now)
        {
            if (!_running.TryDequeue(out var batch))
            {
                return false;
            }
            Scheduler.OnBatchCompleted(now, batch);
            Take();
            return true;
        }

        public void Cancel(TimeSpan now, int which)
        {
            if (Ids.Count > 0)
            {
                Log.Add($"cancelled: {Scheduler.OnCancelled(now, Ids[which % Ids.Count])}");
                Take();
            }
        }

        private void Take()
        {
            foreach (var command in Scheduler.Commands)
            {
                Log.Add(string.Create(CultureInfo.InvariantCulture, $"{command.Kind} {command.Slot} {command.Reason} {command.RetryAfter} {command.At}"));
                if (command.Batch is { } batch)
                {
                    _running.Enqueue(batch);
                    Log.Add($"{batch.Instance.Id} {batch.Reason} {batch.OldestWait}: {string.Join(' ', batch.Slots.ToArray())}");
                }
            }
            Scheduler.ClearCommands();
        }
    }
}
