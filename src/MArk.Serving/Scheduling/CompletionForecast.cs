namespace MArk.Serving.Scheduling;

/// <summary>
/// When the k-th waiting request will be done (the paper's bouncer, over all instances): each pulls a batch whenever it is free, a full one unless what waits may not share one.
/// The pulls are worked out as far as they are asked for and kept until an instance changes, or what batches hold is expected to, so that an arrival is judged in
/// O(log pulls); most arrivals pass a bound that needs no pulls at all.
/// </summary>
internal sealed class CompletionForecast(List<SchedulerInstance> instances, int maxBatchSize)
{
    private const int Parts = 16;

    private readonly List<Pull> _pulls = [];
    private long _mean;     // what pulls hold in the mean, in parts of a request; 0 for full ones
    private readonly PriorityQueue<SchedulerInstance, (TimeSpan Free, int Order)> _next = new();
    private bool _pullsValid;
    private bool _boundValid;

    // The bound: every serving instance is free by _allFree, and from then takes its part of _roundSize every _roundTime.
    private TimeSpan _allFree;
    private TimeSpan _roundTime;
    private TimeSpan _lastBatch;
    private int _roundSize;
    private int _serving;
    private int _least;
    private int _largest;
    private double _throughput;

    /// <summary>The most requests a batch is expected to hold.</summary>
    public void LimitBatches(int limit)
    {
        if (limit != maxBatchSize)
        {
            maxBatchSize = limit;
            Invalidate();
        }
    }

    /// <summary>That what is asked for next comes after so many requests in so many batches, or stands among them; 0 batches for full ones.</summary>
    public void ExpectBatches(int requests, int batches)
    {
        var mean = batches == 0 ? 0 : Math.Max(Parts, ((long)requests * Parts + batches - 1) / batches);
        mean = mean >= (long)maxBatchSize * Parts ? 0 : mean;
        if (mean != _mean)
        {
            _mean = mean;
            _pullsValid = false;
        }
    }

    /// <summary>The largest batch that is expected on any instance that serves; 0 if none does.</summary>
    public int LargestPull
    {
        get
        {
            EnsureBound();
            return _largest;
        }
    }

    /// <summary>Something changed: what was worked out no longer holds.</summary>
    public void Invalidate() => _pullsValid = _boundValid = false;

    /// <summary>The longest that a full batch is expected to take on any instance.</summary>
    public TimeSpan LongestBatch
    {
        get
        {
            EnsureBound();
            return _lastBatch;
        }
    }

    /// <summary>Whether more requests a second arrive than the instances serve in full batches; never, if none serves or nothing is measured.</summary>
    public bool IsExceededBy(double arrivalRate)
    {
        EnsureBound();
        return _throughput > 0 && arrivalRate > _throughput;
    }

    /// <summary>Whether a request with some others ahead of it is done by an instant even on a pessimistic reckoning.</summary>
    /// <param name="instant">By when.</param>
    /// <param name="now">Now.</param>
    /// <param name="ahead">How many go before it, at most.</param>
    /// <param name="groups">In how many groups they are at most that share no batches, itself included, if in more than one; otherwise 0.</param>
    public bool IsSurelyDoneBy(TimeSpan instant, TimeSpan now, int ahead, int groups)
    {
        EnsureBound();
        if (_roundSize == 0)
        {
            return false;
        }
        // In ticks and without a division where none is needed, on a path that every request takes.
        var free = Math.Max(_allFree.Ticks, now.Ticks);
        // Of several groups each may leave a batch that is not full, besides the full ones.
        var rounds = groups > 0 ? (ahead / _least + groups) / _serving + 1 : ahead < _roundSize ? 0 : ahead / _roundSize;
        return free + rounds * _roundTime.Ticks + _lastBatch.Ticks <= instant.Ticks;
    }

    /// <summary>
    /// When a request with some others ahead of it is expected to be done, and when its batch starts; never, if no instance serves.
    /// Its batch holds those ahead of it in the same pull, and those that are expected to arrive until it starts.
    /// </summary>
    /// <param name="now">Now.</param>
    /// <param name="ahead">How many go before it.</param>
    /// <param name="arrivalRate">Requests per second that may join its batch.</param>
    /// <param name="start">When its batch starts.</param>
    /// <param name="deadline">By when it should be done: an instance that is too slow for that leaves it to another.</param>
    public TimeSpan Finish(TimeSpan now, int ahead, double arrivalRate, out TimeSpan start, TimeSpan? deadline = null)
    {
        EnsureBegun(now);
        while ((_pulls.Count == 0 || _pulls[^1].Through <= ahead) && TryAddPull())
        {
            // One more.
        }
        if (_pulls.Count == 0)
        {
            return start = TimeSpan.MaxValue;
        }
        var index = Search(ahead);
        var position = ahead - (index == 0 ? 0 : _pulls[index - 1].Through) + 1;
        return FinishIn(index, now, position, SizeOf(index, _pulls[index].Instance), arrivalRate, deadline, out start);
    }

    /// <summary>When a request is expected to be done whose own batch is pulled after some others, whatever these hold: <see cref="ExpectBatches"/> says that.</summary>
    /// <param name="now">Now.</param>
    /// <param name="batches">How many are pulled before its own, by instances that take full ones.</param>
    /// <param name="requests">How many requests these hold that go before it: where instances take fewer, there are the more batches.</param>
    /// <param name="position">Its place in its own, from 1.</param>
    /// <param name="arrivalRate">Requests per second that may join its batch.</param>
    /// <param name="deadline">By when it should be done: an instance that is too slow for that leaves it to another, and what is later is not worked out to the end.</param>
    public TimeSpan FinishAfter(TimeSpan now, int batches, int requests, int position, double arrivalRate, TimeSpan deadline)
    {
        EnsureBegun(now);
        for (var index = batches; ; index++)
        {
            while (_pulls.Count <= index && (_pulls.Count == 0 || _pulls[^1].Start <= deadline) && TryAddPull())
            {
                // One more.
            }
            if (_pulls.Count <= index)
            {
                return _pulls.Count > 0 ? _pulls[^1].Start : TimeSpan.MaxValue;
            }
            var pull = _pulls[index];
            var full = FullBatch(pull.Instance);
            var takesAll = pull.Through == int.MaxValue;
            if (index > 0 && _pulls[index - 1].Through < requests)
            {
                continue;
            }
            if (position > full && !takesAll)
            {
                position -= full;
                continue;
            }
            return FinishIn(index, now, position, full, arrivalRate, deadline, out _);
        }
    }

    /// <summary>When a request at some place in a pull is expected to be done, with those that arrive until it starts, as far as it has room for them.</summary>
    private TimeSpan FinishIn(int index, TimeSpan now, int position, int room, double arrivalRate, TimeSpan? deadline, out TimeSpan start)
    {
        var pull = _pulls[index];
        start = pull.Start;
        var joining = arrivalRate * (start - now).TotalSeconds;
        var finish = start + pull.Instance.Profile.High((int)Math.Min(position + joining, Math.Max(position, room)));
        return start + pull.Instance.Profile.High(1) > deadline && AreUnlike ? FinishOnAFasterOne(index, finish, ref start) : finish;
    }

    /// <summary>What an instance is too slow for, even alone, it leaves to a faster one, which is free later and done sooner.</summary>
    private TimeSpan FinishOnAFasterOne(int index, TimeSpan finish, ref TimeSpan start)
    {
        for (var next = index + 1; next <= index + instances.Count && (next < _pulls.Count || TryAddPull()) && _pulls[next].Start < finish; next++)
        {
            var pull = _pulls[next];
            var sooner = pull.Start + pull.Instance.Profile.High(SizeOf(next, pull.Instance));
            if (sooner < finish)
            {
                (finish, start) = (sooner, pull.Start);
            }
        }
        return finish;
    }

    /// <summary>Whether instances are of several offerings.</summary>
    private bool AreUnlike
    {
        get
        {
            for (var i = 1; i < instances.Count; i++)
            {
                if (instances[i].Offering != instances[0].Offering)
                {
                    return true;
                }
            }
            return false;
        }
    }

    private bool TryAddPull()
    {
        if (!_next.TryDequeue(out var instance, out var key))
        {
            return false;
        }
        var size = SizeOf(_pulls.Count, instance);
        var duration = instance.Profile.Mean(size);
        var before = _pulls.Count == 0 ? 0 : _pulls[^1].Through;
        // While nothing is measured, an instance takes all there is at once as far as anyone knows.
        _pulls.Add(new Pull(key.Free, duration > TimeSpan.Zero ? before + size : int.MaxValue, instance));
        _next.Enqueue(instance, (key.Free + duration, key.Order));
        return true;
    }

    private int FullBatch(SchedulerInstance instance) =>
        instance.Profile.BestBatchSize(Math.Min(maxBatchSize, instance.MaxBatchSize));

    private int SizeOf(int pull, SchedulerInstance instance) =>
        _mean == 0 ? FullBatch(instance) : (int)Math.Clamp((pull + 1) * _mean / Parts - pull * _mean / Parts, 1, FullBatch(instance));

    private void EnsureBound()
    {
        if (!_boundValid)
        {
            WorkOutBound();
        }
    }

    private void WorkOutBound()
    {
        _boundValid = true;
        (_allFree, _roundTime, _lastBatch, _roundSize, _serving, _throughput) = (default, default, default, 0, 0, 0);
        (_least, _largest) = (int.MaxValue, 0);
        foreach (var instance in instances)
        {
            if (instance.Serves)
            {
                var size = FullBatch(instance);
                _serving++;
                _least = Math.Min(_least, size);
                _largest = Math.Max(_largest, size);
                _roundSize += size;
                _allFree = Max(_allFree, instance.BusyUntil);
                _roundTime = Max(_roundTime, instance.Profile.Mean(size));
                _lastBatch = Max(_lastBatch, instance.Profile.High(size));
                _throughput += instance.Profile.Throughput(size);
            }
        }
    }

    private void EnsureBegun(TimeSpan now)
    {
        // A pull that should have begun and did not shifts all that follow it.
        if (!_pullsValid || (_pulls.Count > 0 && _pulls[0].Start < now))
        {
            Begin(now);
        }
    }

    private void Begin(TimeSpan now)
    {
        _pullsValid = true;
        _pulls.Clear();
        _next.Clear();
        for (var i = 0; i < instances.Count; i++)
        {
            if (instances[i].Serves)
            {
                _next.Enqueue(instances[i], (instances[i].FreeAt(now), i));
            }
        }
    }

    private int Search(int ahead)
    {
        int low = 0, high = _pulls.Count - 1;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (_pulls[middle].Through > ahead)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }
        return low;
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    /// <summary>One batch to come: when it starts, and how many requests are taken by then.</summary>
    private readonly record struct Pull(TimeSpan Start, int Through, SchedulerInstance Instance);
}
