namespace MArk.Serving.OpenInference.Client;

/// <summary>What follows from an item's shapes: which others it can share a batch with, and how large it is.</summary>
internal sealed class ItemShapes<TIn, TOut>
{
    private readonly ITensorCodec<TIn, TOut> _codec;
    private readonly int _maxRank;
    private readonly ItemSize? _all;        // where no two items differ

    public ItemShapes(ModelSignature signature, ITensorCodec<TIn, TOut> codec)
    {
        (Signature, _codec) = (signature, codec);
        _maxRank = signature.Inputs.Max(i => i.ItemShape.Length);
        if (signature.Inputs.All(i => i.IsFixed && i.ElementType != TensorElementType.String))
        {
            _all = new ItemSize(0, signature.Inputs.Sum(i => i.ItemLength * TensorElementTypes.SizeOf(i.ElementType)), 0);
        }
    }

    public ModelSignature Signature { get; }

    public ItemSize Of(TIn input)
    {
        if (_all is { } all)
        {
            return all;
        }
        Span<long> space = stackalloc long[_maxRank];
        var (key, numbers, texts) = (0L, 0L, 0L);
        for (var i = 0; i < Signature.Inputs.Length; i++)
        {
            var spec = Signature.Inputs[i];
            var shape = space[..spec.ItemShape.Length];
            spec.ItemShape.CopyTo(shape);
            if (!spec.IsFixed)
            {
                _codec.GetItemShape(input, i, shape);
                key = ItemTraits.AddShape(key, shape, i);
            }
            var bytes = ItemTraits.BytesOf(_codec, spec, shape, input, i);
            if (spec.ElementType == TensorElementType.String)
            {
                texts += bytes;
            }
            else
            {
                numbers += bytes;
            }
        }
        return new ItemSize(key, numbers, texts);
    }
}

/// <summary>What an item's shapes come to.</summary>
/// <param name="Key">Only items of the same shapes have the same; 0 where all shapes are fixed.</param>
/// <param name="Numbers">The bytes of its numbers, here and on the wire.</param>
/// <param name="Texts">The bytes that its texts hold here; on the wire they have others.</param>
internal readonly record struct ItemSize(long Key, long Numbers, long Texts);
