using System.Buffers;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Reads bodies into pooled memory, up to a limit.</summary>
internal static class BoundedBody
{
    private const int FirstGuess = 16 << 10;

    /// <summary>Reads a body to its end.</summary>
    /// <param name="body">The body.</param>
    /// <param name="length">How long it says it is.</param>
    /// <param name="limit">The most bytes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Memory of the shared pool, and how much of it is the body; nothing if the body is longer than the limit.</returns>
    public static async ValueTask<(byte[] Rented, int Length)?> ReadAsync(Stream body, long? length, int limit, CancellationToken cancellationToken)
    {
        if (length > limit)
        {
            return null;
        }
        // What a body says of its length is believed as far as it comes: memory grows with what is there.
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(length ?? FirstGuess, 1 << 20) + 1);
        var read = 0;
        try
        {
            while (true)
            {
                var more = await body.ReadAsync(buffer.AsMemory(read), cancellationToken).ConfigureAwait(false);
                if (more == 0)
                {
                    CopiedBytes.Add(read);
                    var whole = (buffer, read);
                    buffer = null;
                    return whole;
                }
                read += more;
                if (read > limit)
                {
                    return null;
                }
                if (read == buffer.Length)
                {
                    buffer = Grow(buffer, Math.Min(2L * buffer.Length, limit + 1L));
                }
            }
        }
        finally
        {
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    private static byte[] Grow(byte[] buffer, long size)
    {
        var larger = ArrayPool<byte>.Shared.Rent((int)size);
        buffer.CopyTo(larger.AsSpan());
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
