namespace MArk.Serving.OpenInference.Protocol;

/// <summary>How many bytes of tensors and messages this process has copied, on their way between callers and sockets, where that is asked for: by a benchmark.</summary>
internal static class CopiedBytes
{
    private static long _total;

    public static bool AreCounted { get; set; }

    public static long Total => Volatile.Read(ref _total);

    public static void Add(long bytes)
    {
        if (AreCounted)
        {
            Interlocked.Add(ref _total, bytes);
        }
    }
}
