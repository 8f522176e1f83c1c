namespace MArk.Serving.OnnxRuntime;

/// <summary>Says of an input what the scheduler must know: which others it may share a batch with, what it weighs and what it holds.</summary>
internal sealed class RequestMeter<TIn, TOut>
{
    private readonly ModelPlan _plan;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly int _maxRank;
    private readonly RequestTraits? _all;

    public RequestMeter(ModelPlan plan, ITensorCodec<TIn, TOut> codec)
    {
        _plan = plan;
        _codec = codec;
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
        var (key, weight, bytes) = (0L, 1L, 0L);
        for (var i = 0; i < _plan.RequestInputs.Length; i++)
        {
            var tensor = _plan.RequestInputs[i];
            var shape = space[..tensor.Spec.ItemShape.Length];
            tensor.Spec.ItemShape.CopyTo(shape);
            if (!tensor.IsFixed)
            {
                _codec.GetItemShape(input, i, shape);
            }
            bytes += ItemTraits.BytesOf(_codec, tensor.Spec, shape, input, i);
            if (tensor.IsFixed)
            {
                continue;
            }
            Pad(tensor, shape, lengths);
            key = ItemTraits.AddShape(key, shape, i);
            foreach (var d in tensor.WeightOf)
            {
                weight = Math.Clamp(weight * Math.Min(shape[d], int.MaxValue), 1, int.MaxValue);
            }
        }
        return new RequestTraits(key, (int)weight, bytes);
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
}
