namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Counts what a warm action allocates on this thread.</summary>
internal static class Allocations
{
    public static long Of(Action action)
    {
        const int runs = 100;
        for (var i = 0; i < 2 * runs; i++)
        {
            action();
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < runs; i++)
        {
            action();
        }
        return (GC.GetAllocatedBytesForCurrentThread() - before) / runs;
    }
}
