namespace MArk.Serving.Tensors;

/// <summary>The tensors a codec is bound to: those of one model, for the codec's life.</summary>
internal sealed class CodecBinding
{
    private ModelSignature? _signature;

    /// <summary>The tensors.</summary>
    /// <exception cref="InvalidOperationException">The codec is not bound yet.</exception>
    public ModelSignature Signature => _signature ?? throw new InvalidOperationException("The codec was not bound to a model.");

    /// <summary>Binds the codec, unless it is bound to the same tensors already; the largest batch is no affair of a codec's.</summary>
    /// <exception cref="ServingException">It is bound to others, and stays so.</exception>
    public void Bind(ModelSignature signature)
    {
        ArgumentNullException.ThrowIfNull(signature);
        if (Interlocked.CompareExchange(ref _signature, signature, null) is { } bound && !(AreSame(bound.Inputs, signature.Inputs) && AreSame(bound.Outputs, signature.Outputs)))
        {
            throw new ServingException(
                $"The codec is bound to a model of {Describe(bound)}, and this one is of {Describe(signature)}. A codec belongs to one model and version; make a new one.");
        }
    }

    private static bool AreSame(IReadOnlyList<TensorSpec> some, IReadOnlyList<TensorSpec> others) => some.Count == others.Count
        && some.Zip(others).All(p => p.First.Name == p.Second.Name && p.First.ElementType == p.Second.ElementType && p.First.ItemShape.SequenceEqual(p.Second.ItemShape));

    private static string Describe(ModelSignature signature) => $"inputs {string.Join(", ", signature.Inputs)} and outputs {string.Join(", ", signature.Outputs)}";
}
