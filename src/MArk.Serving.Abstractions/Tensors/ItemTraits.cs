namespace MArk.Serving;

/// <summary>What the scheduler must know of an item, from its shapes: for runners that keep requests of different shapes in different batches.</summary>
public static class ItemTraits
{
    private const int StringHeader = 24;
    private const int StringEstimate = 64;

    /// <summary>Takes an input's shape into a key, so that items whose open dimensions differ get different <see cref="RequestTraits.ShapeKey"/>s (FNV-1a over the dimensions).</summary>
    /// <param name="key">The key of the inputs before it; 0 for none.</param>
    /// <param name="shape">The item's shape, without the batch.</param>
    /// <param name="inputIndex">Which of the model's inputs.</param>
    /// <returns>The key; never 0, which stands for "all shapes are fixed".</returns>
    public static long AddShape(long key, ReadOnlySpan<long> shape, int inputIndex)
    {
        var hash = key == 0 ? 14695981039346656037UL : (ulong)key;
        foreach (var dimension in shape)
        {
            hash = (hash ^ (ulong)dimension) * 1099511628211UL;
        }
        return (long)((hash ^ (ulong)inputIndex) * 1099511628211UL | 1);
    }

    /// <summary>The bytes that an item's part of an input holds while it waits: of strings 24 and 2 for each character, or 64 where the codec cannot tell.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="codec">Maps requests to tensors.</param>
    /// <param name="spec">The input.</param>
    /// <param name="shape">The item's shape, without the batch.</param>
    /// <param name="input">A validated input.</param>
    /// <param name="inputIndex">Which of the model's inputs.</param>
    /// <returns>The bytes.</returns>
    public static long BytesOf<TIn, TOut>(ITensorCodec<TIn, TOut> codec, TensorSpec spec, ReadOnlySpan<long> shape, TIn input, int inputIndex)
    {
        ArgumentNullException.ThrowIfNull(codec);
        ArgumentNullException.ThrowIfNull(spec);
        var elements = 1L;
        foreach (var dimension in shape)
        {
            elements = checked(elements * dimension);
        }
        if (spec.ElementType != TensorElementType.String)
        {
            return elements * TensorElementTypes.SizeOf(spec.ElementType);
        }
        return codec.CountCharacters(input, inputIndex) is >= 0 and var characters ? elements * StringHeader + sizeof(char) * characters : elements * StringEstimate;
    }
}
