namespace MArk.Serving.Aws.Lambda;

/// <summary>Which requests can share a call, and how large they make it.</summary>
internal sealed class ItemShapes<TIn, TOut>
{
    private readonly ModelSignature _signature;
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly int _maxRank;

    public ItemShapes(ModelSignature signature, ITensorCodec<TIn, TOut> codec)
    {
        (_signature, _codec) = (signature, codec);
        _maxRank = signature.Inputs.Max(i => i.ItemShape.Length);
    }

    /// <summary>A key that only inputs of the same shapes share, and the bytes of their numbers.</summary>
    public (long Key, long Bytes) Of(TIn input)
    {
        Span<long> space = stackalloc long[_maxRank];
        var (key, bytes) = (0L, 0L);
        for (var i = 0; i < _signature.Inputs.Length; i++)
        {
            var spec = _signature.Inputs[i];
            var shape = space[..spec.ItemShape.Length];
            spec.ItemShape.CopyTo(shape);
            if (!spec.IsFixed)
            {
                _codec.GetItemShape(input, i, shape);
                key = ItemTraits.AddShape(key, shape, i);
            }
            if (spec.ElementType != TensorElementType.String)
            {
                bytes += ItemTraits.BytesOf(_codec, spec, shape, input, i);
            }
        }
        return (key, bytes);
    }
}
