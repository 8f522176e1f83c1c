using System.Runtime.InteropServices;

namespace MArk.Serving.Engine;

/// <summary>Of the batches that an instance's one thread has run, those whose answers another thread is still to read.</summary>
/// <remarks>Each thread counts what it does itself: a number that both wrote would be fetched from core to core twice a batch.</remarks>
internal sealed class UnreadAnswers
{
    // Answers are left where that many times what it takes to read them is no more than the run.
    private const int ReadingShare = 16;

    private PaddedInt _left;    // how many batches were left; the instance's thread counts them
    private Reading _reading;
    private volatile bool _hasLeft;

    /// <summary>Whether one of these batches has freed its slot; it is the only one then.</summary>
    public bool HasLeft => _hasLeft;

    /// <summary>
    /// Whether a batch's answers may be left while the next one runs: as long as no other's are, since a runner has memory for those of one batch besides the one that runs; and where they
    /// are read in a small part of the time, since requests are judged by how long batches run.
    /// </summary>
    /// <param name="ran">How long the batch ran.</param>
    public bool MayLeave(TimeSpan ran) => _left.Value == Volatile.Read(ref _reading.Count) && ReadingShare * Volatile.Read(ref _reading.Ticks) <= ran.Ticks;

    /// <summary>Another thread is about to be given a batch's answers.</summary>
    /// <param name="freesSlot">Whether the batch frees its slot before they are read.</param>
    public void Leave(bool freesSlot)
    {
        _left.Value++;
        if (freesSlot)
        {
            _hasLeft = true;
        }
    }

    /// <summary>A batch's answers were read.</summary>
    /// <param name="took">How long that took.</param>
    public void OnRead(TimeSpan took)
    {
        Note(took);
        if (_hasLeft)
        {
            _hasLeft = false;
        }
        Interlocked.Increment(ref _reading.Count);
    }

    /// <summary>Takes note of how long it took to read a batch's answers.</summary>
    public void Note(TimeSpan took)
    {
        var known = Volatile.Read(ref _reading.Ticks);
        Volatile.Write(ref _reading.Ticks, known + (took.Ticks - known) / 8);
    }

    /// <summary>What the threads that read write.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 2 * Padding.Length)]
    private struct Reading
    {
        /// <summary>How many of the batches that were left they have read.</summary>
        [FieldOffset(Padding.Length)]
        public int Count;

        /// <summary>About as long as it takes to read a batch's answers.</summary>
        [FieldOffset(Padding.Length + sizeof(long))]
        public long Ticks;
    }
}
