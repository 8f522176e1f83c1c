using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

/// <summary>
/// Batches that have run and are to be completed, in order. Batches are linked themselves: to add one touches a single cache line that another thread looks at, where a
/// <see cref="System.Collections.Concurrent.ConcurrentQueue{T}"/> has three, which takes a good part of a short batch's time.
/// </summary>
internal sealed class EndedRuns<TIn, TOut>
{
    private readonly PaddedReference<BatchWork<TIn, TOut>> _newest = new();
    private readonly Lock _gate = new();
    private BatchWork<TIn, TOut>? _oldest;      // of those that are in order already; set under the gate

    public bool IsEmpty => Volatile.Read(ref _newest.Value) is null && Volatile.Read(ref _oldest) is null;

    /// <summary>Adds a batch; a full barrier.</summary>
    public void Add(BatchWork<TIn, TOut> work)
    {
        BatchWork<TIn, TOut>? before;
        do
        {
            work.Next = before = Volatile.Read(ref _newest.Value);
        }
        while (Interlocked.CompareExchange(ref _newest.Value, work, before) != before);
    }

    /// <summary>Takes the one that was added first.</summary>
    public bool TryTake([MaybeNullWhen(false)] out BatchWork<TIn, TOut> work)
    {
        work = null;
        if (IsEmpty)
        {
            return false;
        }
        lock (_gate)
        {
            if (_oldest is null)
            {
                PutInOrder();
            }
            work = _oldest;
            if (work is null)
            {
                return false;
            }
            Volatile.Write(ref _oldest, work.Next);
            work.Next = null;
            return true;
        }
    }

    private void PutInOrder()
    {
        // At no time is there none by the looks of it; only who has the gate empties the one, and asks for more of the other than whether there is any.
        Volatile.Write(ref _oldest, Volatile.Read(ref _newest.Value));
        var newest = Interlocked.Exchange(ref _newest.Value, null);
        BatchWork<TIn, TOut>? oldest = null;
        while (newest is not null)
        {
            var before = newest.Next;
            newest.Next = oldest;
            (oldest, newest) = (newest, before);
        }
        Volatile.Write(ref _oldest, oldest);
    }
}
