namespace MArk.Serving.OnnxRuntime;

/// <summary>Says of an input what the scheduler must know: which others it may share a batch with.</summary>
internal sealed class RequestMeter<TIn, TOut>(ModelPlan plan, ITensorCodec<TIn, TOut> codec)
{
    private readonly int _maxRank = plan.RequestInputs.Max(i => i.Spec.ItemShape.Length);
    private readonly bool _isFixed = plan.RequestInputs.All(i => i.IsFixed);

    public RequestTraits Measure(TIn input)
    {
        if (_isFixed)
        {
            return RequestTraits.Default;
        }
        Span<long> space = stackalloc long[_maxRank];
        Span<long> lengths = stackalloc long[plan.Lengths.Length];
        lengths.Fill(-1);
        var key = 0UL;
        for (var i = 0; i < plan.RequestInputs.Length; i++)
        {
            var tensor = plan.RequestInputs[i];
            if (!tensor.IsFixed)
            {
                var shape = space[..tensor.Spec.ItemShape.Length];
                tensor.Spec.ItemShape.CopyTo(shape);
                codec.GetItemShape(input, i, shape);
                Pad(tensor, shape, lengths);
                key = Hash(key, shape, i);
            }
        }
        return new RequestTraits((long)key, Weight: 1);
    }

    private void Pad(PlannedTensor tensor, Span<long> shape, Span<long> lengths)
    {
        for (var d = 0; d < shape.Length; d++)
        {
            if (tensor.LengthOf[d] is not (>= 0 and var length))
            {
                continue;
            }
            var own = shape[d];
            var padded = plan.Lengths[length];
            if (own < 0 || own > padded.Largest)
            {
                throw new InvalidInputException(
                    tensor.Spec.Name, $"its {tensor.NameOf(d)} is {own} long; accepted are lengths of at most {padded.Largest}, the largest it is padded to.");
            }
            if (lengths[length] >= 0 && lengths[length] != own)
            {
                throw new InvalidInputException(
                    tensor.Spec.Name, $"its {tensor.NameOf(d)} is {own} long, and an input it is padded with {lengths[length]}; they must be of the same length.");
            }
            lengths[length] = own;
            shape[d] = padded[padded.BucketOf(own)];
        }
    }

    // FNV-1a over the dimensions; never 0, which stands for "all shapes are fixed".
    private static ulong Hash(ulong key, ReadOnlySpan<long> shape, int index)
    {
        key = key == 0 ? 14695981039346656037UL : key;
        foreach (var dimension in shape)
        {
            key = (key ^ (ulong)dimension) * 1099511628211UL;
        }
        return (key ^ (ulong)index) * 1099511628211UL | 1;
    }
}
