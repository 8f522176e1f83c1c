namespace MArk.Serving.OpenInference;

/// <summary>
/// Makes a model's typed requests from tensors, and tensors of its answers: the way back of an <see cref="ITensorCodec{TIn, TOut}"/>, for a model that is served to clients of the Open Inference Protocol.
/// </summary>
/// <remarks>Used from several threads at once after <see cref="Bind"/>; keeps no state between calls.</remarks>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IEndpointCodec<TIn, TOut>
{
    /// <summary>The tensors that clients see, where the model itself declares none; <see langword="null"/>, the default: those of the model.</summary>
    ModelSignature? Signature => null;

    /// <summary>Takes note of the tensors that clients see; called before anything else, once a version of the model.</summary>
    /// <param name="signature">The tensors.</param>
    /// <exception cref="ServingException">The codec does not fit them; says which.</exception>
    void Bind(ModelSignature signature);

    /// <summary>Makes one request.</summary>
    /// <param name="inputs">Its part of each input, of the declared types and ranks; reused afterwards: copy what is kept.</param>
    /// <returns>The request.</returns>
    /// <exception cref="InvalidInputException">It is none.</exception>
    TIn ReadInput(ITensorItems inputs);

    /// <summary>Fills in the dimensions of an output that the model leaves open. Not called for an output whose shape is fixed.</summary>
    /// <param name="output">An answer.</param>
    /// <param name="outputIndex">Which of the outputs.</param>
    /// <param name="itemShape">Holds the declared dimensions without the batch; replace each -1.</param>
    void GetOutputShape(TOut output, int outputIndex, Span<long> itemShape);

    /// <summary>Writes one answer.</summary>
    /// <param name="output">The answer.</param>
    /// <param name="outputs">Its place in each of the outputs.</param>
    void WriteOutput(TOut output, ITensorItems outputs);
}
