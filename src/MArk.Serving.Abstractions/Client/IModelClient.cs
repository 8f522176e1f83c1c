namespace MArk.Serving;

/// <summary>Asks one served model for answers. Registered as a keyed service under the model's name.</summary>
/// <remarks>
/// Every returned <see cref="ValueTask{TResult}"/> must be awaited exactly once: its state is pooled.
/// The input, and a destination where one is given, belong to the engine until the call ends; do not change them meanwhile.
/// After a call was cancelled the engine may still <em>read</em> the input while its batch finishes, but writes nothing more.
/// </remarks>
/// <typeparam name="TIn">What a caller gives: one item, never a batch.</typeparam>
/// <typeparam name="TOut">What a caller gets for one item.</typeparam>
public interface IModelClient<TIn, TOut>
{
    /// <summary>The name the model was registered under.</summary>
    string ModelName { get; }

    /// <summary>Runs the model on one item; throws where <see cref="TryInferAsync(TIn, InferenceOptions, CancellationToken)"/> answers.</summary>
    /// <param name="input">One item.</param>
    /// <param name="options">Deadline, priority and key; the default takes the model's SLO as the deadline.</param>
    /// <param name="cancellationToken">Ends the wait at once. The batch the item is part of is not disturbed.</param>
    /// <returns>The model's answer; await once.</returns>
    /// <exception cref="InvalidInputException">The item does not fit the model; nothing was queued.</exception>
    /// <exception cref="InferenceRejectedException">The item was not run: queue full, deadline out of reach, draining.</exception>
    /// <exception cref="InferenceFailedException">The item was run and failed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    ValueTask<TOut> InferAsync(TIn input, InferenceOptions options = default, CancellationToken cancellationToken = default);

    /// <summary>As <see cref="InferAsync(TIn, InferenceOptions, CancellationToken)"/>, writing the answer into memory the caller owns.</summary>
    /// <param name="input">One item.</param>
    /// <param name="destination">
    /// Where the answer goes: an array or a <see cref="Memory{T}"/> of the answer's length. The engine writes to it only
    /// before the returned task ends.
    /// </param>
    /// <param name="options">Deadline, priority and key.</param>
    /// <param name="cancellationToken">Ends the wait at once.</param>
    /// <returns>The filled destination, or other memory where an instance was lost while it held the destination: use what is returned. Await once.</returns>
    /// <exception cref="InvalidInputException">The item does not fit the model, or the destination does not fit what the model declares of its answers; nothing was queued.</exception>
    /// <exception cref="InferenceRejectedException">The item was not run.</exception>
    /// <exception cref="InferenceFailedException">The item was run and failed; or the destination did not fit the answer, of a length that the model leaves open.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    ValueTask<TOut> InferIntoAsync(TIn input, TOut destination, InferenceOptions options = default, CancellationToken cancellationToken = default);

    /// <summary>Runs the model on one item and says how it went, without an exception for any outcome the engine knows.</summary>
    /// <param name="input">One item.</param>
    /// <param name="options">Deadline, priority and key.</param>
    /// <param name="cancellationToken">Ends the wait at once, with <see cref="InferenceStatus.Cancelled"/>.</param>
    /// <returns>The answer or the reason there is none; await once.</returns>
    ValueTask<InferenceResult<TOut>> TryInferAsync(TIn input, InferenceOptions options = default, CancellationToken cancellationToken = default);

    /// <summary>As <see cref="TryInferAsync(TIn, InferenceOptions, CancellationToken)"/>, writing the answer into memory the caller owns.</summary>
    /// <param name="input">One item.</param>
    /// <param name="destination">Where the answer goes.</param>
    /// <param name="options">Deadline, priority and key.</param>
    /// <param name="cancellationToken">Ends the wait at once, with <see cref="InferenceStatus.Cancelled"/>.</param>
    /// <returns>The answer or the reason there is none; await once.</returns>
    ValueTask<InferenceResult<TOut>> TryInferIntoAsync(TIn input, TOut destination, InferenceOptions options = default, CancellationToken cancellationToken = default);

    /// <summary>
    /// Runs the model on several items that are at hand together, and says of each how it went. They are judged as they would be one by one, and arrive at the same instant, so that
    /// an idle instance finds them all: one call for what would be a batch of the caller's own.
    /// </summary>
    /// <param name="inputs">The items; not changed until the call ends.</param>
    /// <param name="options">Deadline, priority and key, of each.</param>
    /// <param name="cancellationToken">Ends the wait at once, with <see cref="InferenceStatus.Cancelled"/> for those that have no answer.</param>
    /// <returns>One outcome for each item, in their order; await once.</returns>
    async ValueTask<InferenceResult<TOut>[]> TryInferManyAsync(ReadOnlyMemory<TIn> inputs, InferenceOptions options = default, CancellationToken cancellationToken = default)
    {
        var calls = new Task<InferenceResult<TOut>>[inputs.Length];
        for (var i = 0; i < calls.Length; i++)
        {
            calls[i] = TryInferAsync(inputs.Span[i], options, cancellationToken).AsTask();
        }
        var results = new InferenceResult<TOut>[calls.Length];
        for (var i = 0; i < results.Length; i++)
        {
            results[i] = await calls[i].ConfigureAwait(false);
        }
        return results;
    }
}
