namespace MArk.Serving.OnnxRuntime;

/// <summary>Says of an input what the scheduler must know: which others it may share a batch with, what it weighs and what it holds.</summary>
internal sealed class RequestMeter<TIn, TOut>
{
    private const int StringHeader = 24;
    private const int StringEstimate = 64;

    private readonly ModelPlan _plan;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly ICountsCharacters<TIn>? _characters;
    private readonly int _maxRank;
    private readonly RequestTraits? _all;

    public RequestMeter(ModelPlan plan, ITensorCodec<TIn, TOut> codec)
    {
        _plan = plan;
        _codec = codec;
        _characters = codec as ICountsCharacters<TIn>;
        _maxRank = plan.RequestInputs.Max(i => i.Spec.ItemShape.Length);
        if (plan.RequestInputs.All(i => i.IsFixed && i.Spec.ElementType != TensorElementType.String))
        {
            _all = new RequestTraits(0, 1, plan.RequestInputs.Sum(i => i.Spec.ItemLength * TensorElementTypes.SizeOf(i.Spec.ElementType)));
        }
    }

    public RequestTraits Measure(TIn input) => _all ?? MeasureOne(input);

    private RequestTraits MeasureOne(TIn input)
    {
        Span<long> space = stackalloc long[_maxRank];
        Span<long> lengths = stackalloc long[_plan.Lengths.Length];
        lengths.Fill(-1);
        var (key, weight, bytes) = (0UL, 1L, 0L);
        for (var i = 0; i < _plan.RequestInputs.Length; i++)
        {
            var tensor = _plan.RequestInputs[i];
            var shape = space[..tensor.Spec.ItemShape.Length];
            tensor.Spec.ItemShape.CopyTo(shape);
            if (!tensor.IsFixed)
            {
                _codec.GetItemShape(input, i, shape);
            }
            bytes += BytesOf(tensor, shape, input, i);
            if (tensor.IsFixed)
            {
                continue;
            }
            Pad(tensor, shape, lengths);
            key = Hash(key, shape, i);
            foreach (var d in tensor.WeightOf)
            {
                weight = Math.Clamp(weight * Math.Min(shape[d], int.MaxValue), 1, int.MaxValue);
            }
        }
        return new RequestTraits((long)key, (int)weight, bytes);
    }

    private long BytesOf(PlannedTensor tensor, ReadOnlySpan<long> shape, TIn input, int index)
    {
        var elements = 1L;
        foreach (var dimension in shape)
        {
            elements = checked(elements * dimension);
        }
        return tensor.Spec.ElementType != TensorElementType.String ? elements * TensorElementTypes.SizeOf(tensor.Spec.ElementType)
            : _characters is null ? elements * StringEstimate
            : elements * StringHeader + sizeof(char) * _characters.CountCharacters(input, index);
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
            var padded = _plan.Lengths[length];
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
