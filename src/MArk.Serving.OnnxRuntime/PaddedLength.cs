using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>The buckets of one padded length.</summary>
internal sealed class PaddedLength(ImmutableArray<int> buckets)
{
    public int Count => buckets.Length;

    public int Largest => buckets[^1];

    /// <summary>The length of a bucket.</summary>
    public int this[int bucket] => buckets[bucket];

    /// <summary>The smallest bucket that holds a length; <see cref="Count"/> if none does.</summary>
    public int BucketOf(long length)
    {
        var (low, high) = (0, buckets.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = buckets[middle] < length ? (middle + 1, high) : (low, middle);
        }
        return low;
    }
}
