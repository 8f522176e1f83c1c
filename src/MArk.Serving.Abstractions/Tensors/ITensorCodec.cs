using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace MArk.Serving;

/// <summary>Maps a typed request to a model's named tensors and back, one item at a time; the runner gathers and scatters the batch.</summary>
/// <remarks>Used from several threads at once after <see cref="Bind"/>; keeps no state between calls.</remarks>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface ITensorCodec<TIn, TOut>
{
    /// <summary>Takes note of the model's tensors; called before anything else, when the model is opened.</summary>
    /// <remarks>
    /// A codec belongs to one model and version. Bound again to the same tensors (names, element types and shapes, in the same order) it changes nothing; it refuses others and stays as it is, since
    /// requests of the version that serves would be checked against them.
    /// </remarks>
    /// <param name="signature">The model's inputs and outputs.</param>
    /// <exception cref="ServingException">The codec does not fit such a model, and says which tensor; or it is bound to other tensors already.</exception>
    void Bind(ModelSignature signature);

    /// <summary>Checks an input at admission, on the caller's thread.</summary>
    /// <param name="input">The input.</param>
    /// <exception cref="InvalidInputException">It does not fit; names the input, what it was and what the model declares.</exception>
    void Validate(TIn input);

    /// <summary>Checks at admission, on the caller's thread, the memory that an answer is wanted in, as far as the model's declaration says what it must hold; the default takes any.</summary>
    /// <param name="input">A validated input.</param>
    /// <param name="destination">That memory.</param>
    /// <exception cref="InvalidInputException">No answer to the input fits in it; says what it holds and what the model declares.</exception>
    void ValidateDestination(TIn input, TOut? destination)
    {
    }

    /// <summary>Fills in the dimensions that the model leaves open. Not called for an input whose shape is fixed.</summary>
    /// <param name="input">A validated input.</param>
    /// <param name="inputIndex">Which of the model's inputs.</param>
    /// <param name="itemShape">Holds the declared dimensions without the batch; replace each -1.</param>
    void GetItemShape(TIn input, int inputIndex, Span<long> itemShape);

    /// <summary>How many characters the strings of an input hold, for the bounds of the queue; -1 if it is not known. Not called for an input of numbers.</summary>
    /// <param name="input">A validated input.</param>
    /// <param name="inputIndex">Which of the model's inputs.</param>
    /// <returns>The characters.</returns>
    long CountCharacters(TIn input, int inputIndex) => -1;

    /// <summary>Writes one item straight into the batch buffers, every element of every input: they are not cleared.</summary>
    /// <param name="input">A validated input.</param>
    /// <param name="inputs">This item's place in each of the model's inputs; may hold values of an earlier batch, of another caller's request.</param>
    void Write(TIn input, ITensorItems inputs);

    /// <summary>Reads one item's answer from the batch's outputs, which are reused afterwards: copy what is kept.</summary>
    /// <param name="outputs">This item's part of each of the model's outputs; read only.</param>
    /// <param name="hasDestination">Whether the caller wants the answer in memory of its own.</param>
    /// <param name="destination">That memory.</param>
    /// <returns>The answer: the filled destination if there is one.</returns>
    /// <exception cref="InvalidInputException">The destination does not fit the answer, which could not be told beforehand: the request has failed.</exception>
    TOut Read(ITensorItems outputs, bool hasDestination, TOut? destination);

    /// <summary>An input to warm up and profile with, if one can be made up from the model's declaration.</summary>
    /// <param name="sample">The input.</param>
    /// <returns>Whether there is one.</returns>
    bool TryCreateSample([MaybeNullWhen(false)] out TIn sample)
    {
        sample = default;
        return false;
    }
}

/// <summary>One item's part of each tensor of a batch.</summary>
public interface ITensorItems
{
    /// <summary>How many tensors.</summary>
    int Count { get; }

    /// <summary>The item's part of a tensor.</summary>
    /// <param name="index">Which tensor, in the model's order.</param>
    TensorItem this[int index] { get; }
}

/// <summary>One item's part of one tensor of a batch.</summary>
public readonly ref struct TensorItem
{
    private readonly Span<byte> _bytes;
    private readonly Span<string> _strings;

    /// <summary>A part of a tensor of numbers.</summary>
    /// <param name="spec">The tensor.</param>
    /// <param name="shape">The item's shape, without the batch dimension.</param>
    /// <param name="bytes">Its elements.</param>
    public TensorItem(TensorSpec spec, ReadOnlySpan<long> shape, Span<byte> bytes)
    {
        Spec = spec;
        Shape = shape;
        _bytes = bytes;
    }

    /// <summary>A part of a tensor of strings.</summary>
    /// <param name="spec">The tensor.</param>
    /// <param name="shape">The item's shape, without the batch dimension.</param>
    /// <param name="strings">Its elements.</param>
    public TensorItem(TensorSpec spec, ReadOnlySpan<long> shape, Span<string> strings)
    {
        Spec = spec;
        Shape = shape;
        _strings = strings;
    }

    /// <summary>The tensor.</summary>
    public TensorSpec Spec { get; }

    /// <summary>The item's shape, without the batch dimension.</summary>
    public ReadOnlySpan<long> Shape { get; }

    /// <summary>The elements as raw bytes; empty for strings.</summary>
    public Span<byte> Bytes => _bytes;

    /// <summary>The elements of a tensor of strings; empty for numbers.</summary>
    public Span<string> Strings => _strings;

    /// <summary>The elements as numbers.</summary>
    /// <typeparam name="T">The .NET type that fits the tensor's element type.</typeparam>
    /// <returns>The elements.</returns>
    /// <exception cref="InvalidInputException">The type does not fit.</exception>
    public Span<T> As<T>() where T : unmanaged => TensorElementTypes.Fits<T>(Spec.ElementType)
        ? MemoryMarshal.Cast<byte, T>(_bytes)
        : throw new InvalidInputException(Spec.Name, $"its elements are {Spec.ElementType}, not {typeof(T).Name}.");
}
