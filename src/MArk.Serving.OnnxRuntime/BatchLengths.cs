namespace MArk.Serving.OnnxRuntime;

/// <summary>The padded lengths of a batch: the bucket it runs at, and each request's own.</summary>
internal sealed class BatchLengths(ModelPlan plan)
{
    private readonly int[] _buckets = new int[plan.Lengths.Length];
    private readonly long[] _padded = new long[plan.Lengths.Length];
    private long[] _own = [];

    /// <summary>What the batch runs at, by length.</summary>
    public ReadOnlySpan<long> Padded => _padded;

    /// <summary>Tells the combination of buckets from every other one.</summary>
    public long Key { get; private set; }

    /// <summary>A request's own lengths.</summary>
    public ReadOnlySpan<long> Own(int row) => _own.AsSpan(row * _padded.Length, _padded.Length);

    public void Begin(int count)
    {
        if (_own.Length < count * _padded.Length)
        {
            _own = new long[count * _padded.Length];
        }
    }

    /// <summary>Chooses the buckets that the first request's shape asks for, and pads the shape.</summary>
    public void Choose(PlannedTensor input, Span<long> shape)
    {
        for (var d = 0; d < shape.Length; d++)
        {
            if (input.LengthOf[d] is >= 0 and var length)
            {
                _buckets[length] = BucketOf(input, d, length, shape[d]);
                shape[d] = _padded[length] = plan.Lengths[length][_buckets[length]];
            }
        }
    }

    public void End()
    {
        Key = 0;
        for (var i = 0; i < _buckets.Length; i++)
        {
            Key = Key * plan.Lengths[i].Count + _buckets[i];
        }
    }

    /// <summary>Takes note of a request's own lengths.</summary>
    /// <exception cref="InvalidOperationException">It does not belong in this batch.</exception>
    public void Note(int row, PlannedTensor input, ReadOnlySpan<long> own, ReadOnlySpan<long> padded)
    {
        for (var d = 0; d < own.Length; d++)
        {
            var length = input.LengthOf[d];
            if (length < 0 ? own[d] != padded[d] : BucketOf(input, d, length, own[d]) != _buckets[length])
            {
                throw new InvalidOperationException(
                    $"Input '{input.Spec.Name}' of request {row} is [{string.Join(',', own.ToArray())}] in a batch of [{string.Join(',', padded.ToArray())}]: requests of different buckets share no batch.");
            }
            if (length >= 0)
            {
                _own[row * _padded.Length + length] = own[d];
            }
        }
    }

    private int BucketOf(PlannedTensor input, int d, int length, long own) =>
        plan.Lengths[length].BucketOf(own) is var bucket && own >= 0 && bucket < plan.Lengths[length].Count
            ? bucket
            : throw new InvalidInputException(input.Spec.Name, $"its {input.NameOf(d)} is {own} long; accepted are lengths of at most {plan.Lengths[length].Largest}, the largest it is padded to.");
}
