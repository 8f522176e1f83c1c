namespace MArk.Serving.Engine;

/// <summary>Waiting for what may never end.</summary>
internal static class TaskWaiting
{
    /// <summary>Waits for a task, but not for ever; what it throws is thrown.</summary>
    /// <returns>Whether it has ended; otherwise it is left behind.</returns>
    public static async Task<bool> EndsWithinAsync(this Task task, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken = default)
    {
        try
        {
            await task.WaitAsync(timeout, time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return task.IsCompleted;
        }
    }
}
