namespace MArk.Serving.Aws.Lambda;

/// <summary>Spilled requests that no call carries yet, in the order of their arrival. Not thread-safe.</summary>
internal sealed class SpillQueue<TIn, TOut>
{
    private readonly List<Spill<TIn, TOut>> _waiting = [];

    public int Count => _waiting.Count;

    public Spill<TIn, TOut> First => _waiting[0];

    public void Add(ReadOnlySpan<Spill<TIn, TOut>> spills) => _waiting.AddRange(spills);

    /// <summary>How many can share a call with the first.</summary>
    public int CountLikeFirst()
    {
        var count = 0;
        foreach (var spill in _waiting)
        {
            count += spill.Key == First.Key ? 1 : 0;
        }
        return count;
    }

    /// <summary>Takes the first and those after it that can share a call with it.</summary>
    public Spill<TIn, TOut>[] TakeLikeFirst(int count)
    {
        var pack = new Spill<TIn, TOut>[count];
        var (key, taken) = (First.Key, 0);
        _waiting.RemoveAll(spill =>
        {
            if (spill.Key != key || taken == count)
            {
                return false;
            }
            pack[taken++] = spill;
            return true;
        });
        return pack;
    }

    /// <summary>Takes all, or those that are given up.</summary>
    public Spill<TIn, TOut>[] Take(bool onlyCancelled)
    {
        Spill<TIn, TOut>[] taken = [.. _waiting.Where(spill => !onlyCancelled || spill.Cancellation.IsCancellationRequested)];
        _waiting.RemoveAll(taken.Contains);
        return taken;
    }
}
