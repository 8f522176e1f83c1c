namespace MArk.Serving.Scheduling;

// Instances that fail: out of rotation with exponential back-off, probed, and back.
internal sealed partial class ModelScheduler
{
    // An instance so many times slower than its peers, for so many batches on end, is not well, whatever it answers.
    private const int OutlierFactor = 3;
    private const int OutlierBatches = 3;

    private readonly Random _jitter;
    private int _outCount;

    /// <summary>Instances that failed and were not yet probed with success.</summary>
    public int OutOfRotationCount => _outCount;

    /// <summary>Those of them that serve again once they are well; the others are draining.</summary>
    public int ServingOutOfRotationCount => _outCount == 0 ? 0 : _instances.Count(instance => instance is { IsOut: true, IsDraining: false });

    /// <summary>
    /// A batch failed and the instance is at fault. What it had not answered waits again, with its old deadline and place, or fails if that happened too often;
    /// the instance is out of rotation for a while.
    /// </summary>
    /// <param name="now">Now.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="isAnswered">Whether a request of the batch, by index, was answered before the failure.</param>
    /// <param name="busyFor">How long it is left alone, if it is well and only has too much to do; then nothing is held against it, nor counted to its requests.</param>
    public void OnBatchFailedByInstance(TimeSpan now, DispatchedBatch batch, Func<DispatchedBatch, int, bool> isAnswered, TimeSpan? busyFor = null)
    {
        // Another batch that was under way when the instance failed says nothing new.
        if (!batch.Instance.IsOut)
        {
            PutOut(now, batch.Instance, busyFor);
        }
        HandBack(now, batch, isAnswered, isLost: busyFor is null);
        JudgeAll(now);
        EndBatch(now, batch, new BatchFeedback(batch.Count, batch.Took(now), Succeeded: false, MissedDeadlines: 0));
    }

    /// <summary>A probe ended. An instance that passed is back; how long it is out the next time is forgotten once it has run a batch well.</summary>
    public void OnProbeCompleted(TimeSpan now, int id, bool ok)
    {
        if (Find(id) is not { IsProbing: true } instance)
        {
            return;
        }
        instance.IsProbing = false;
        if (ok)
        {
            BringBack(now, instance);
        }
        else
        {
            PutOut(now, instance);
            JudgeAll(now);
        }
        Dispatch(now);
    }

    /// <summary>The driver has nothing to probe with: the next lone request is the probe.</summary>
    public void OnProbeImpossible(TimeSpan now, int id)
    {
        if (Find(id) is not { IsProbing: true } instance)
        {
            return;
        }
        instance.IsProbing = false;
        instance.IsOnTrial = true;
        BringBack(now, instance);
        Dispatch(now);
    }

    /// <summary>
    /// Takes note of how long a batch took that went well. An instance that is far slower than its peers is put out of rotation, for longer each time on end: its requests are better off with
    /// them, as long as half of all instances are left.
    /// </summary>
    /// <returns>Whether it was put out.</returns>
    private bool NoteSpeed(TimeSpan now, SchedulerInstance instance, int count, TimeSpan duration)
    {
        if (!IsFarSlowerThanPeers(instance, count, duration))
        {
            instance.SlowOnEnd = 0;
            instance.Failures = 0;
            return false;
        }
        if (++instance.SlowOnEnd < OutlierBatches || instance.IsOut || instance.IsDraining || 2 * (_outCount + 1) > _instances.Count)
        {
            return false;
        }
        instance.SlowOnEnd = 0;
        PutOut(now, instance);
        return true;
    }

    /// <summary>Two peers at least must say so, and by an amount that matters for the objective.</summary>
    private bool IsFarSlowerThanPeers(SchedulerInstance instance, int count, TimeSpan duration)
    {
        var (peers, expected) = (0, 0L);
        foreach (var other in _instances)
        {
            if (other != instance && other.Offering == instance.Offering && other.Serves && other.Profile.IsMeasured)
            {
                peers++;
                expected += other.Profile.Mean(count).Ticks;
            }
        }
        return peers >= 2 && duration.Ticks > OutlierFactor * expected / peers && duration.Ticks - expected / peers > _settings.Slo.Ticks / 20;
    }

    private void PutOut(TimeSpan now, SchedulerInstance instance, TimeSpan? busyFor = null)
    {
        var longest = busyFor is { } busy
            ? Math.Clamp(busy.TotalSeconds, _settings.RotationBackoffBase.TotalSeconds, _settings.RotationBackoffMax.TotalSeconds)
            : Math.Min(_settings.RotationBackoffMax.TotalSeconds, _settings.RotationBackoffBase.TotalSeconds * Math.Pow(2, Math.Min(instance.Failures++, 30)));
        instance.OutUntil = now + TimeSpan.FromSeconds(busyFor is null ? longest * (0.5 + 0.5 * _jitter.NextDouble()) : longest);
        instance.IsOnTrial = false;
        if (!instance.IsOut)
        {
            instance.IsOut = true;
            _outCount++;
        }
        _forecast.Invalidate();
    }

    private void BringBack(TimeSpan now, SchedulerInstance instance)
    {
        instance.IsOut = false;
        instance.SlowStart = instance.SlowStartFrom;
        _outCount--;
        _forecast.Invalidate();
        JudgeLate(now);
    }

    /// <summary>What a batch had not answered goes back to where it waited, or fails if too many instances were lost under it.</summary>
    private void HandBack(TimeSpan now, DispatchedBatch batch, Func<DispatchedBatch, int, bool> isAnswered, bool isLost = true)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            var slot = batch.Slots[i];
            ref var request = ref _requests[slot];
            if (request.Cancelled || isAnswered(batch, i))
            {
                Release(slot);
            }
            else if (isLost && ++request.Losses > _settings.MaxRedeliveries)
            {
                Fail(slot);
            }
            else
            {
                request.Place = RequestPlace.Queued;
                Admit(now, slot);
            }
        }
    }

    /// <summary>Has those probed whose time out is over, once nothing runs on them, and asks to be woken for the next.</summary>
    private void ProbeThoseDue(TimeSpan now)
    {
        var next = TimeSpan.MaxValue;
        foreach (var instance in _instances)
        {
            if (!instance.IsOut || instance.IsProbing || instance.IsDraining)
            {
                continue;
            }
            if (instance.OutUntil > now)
            {
                next = instance.OutUntil < next ? instance.OutUntil : next;
            }
            else if (instance.Running.Count == 0)
            {
                instance.IsProbing = true;
                Emit(new SchedulerCommand(SchedulerCommandKind.Probe) { Instance = instance });
            }
        }
        WakeAt(next);
    }

    /// <summary>When an instance is there again at the earliest, while none serves.</summary>
    private TimeSpan NextCapacityAt()
    {
        var next = _capacityExpectedAt;
        if (_outCount > 0)
        {
            foreach (var instance in _instances)
            {
                if (instance is { IsOut: true, IsDraining: false, IsBusy: false } && instance.OutUntil < next)
                {
                    next = instance.OutUntil;
                }
            }
        }
        return next;
    }
}
