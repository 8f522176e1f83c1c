namespace MArk.Serving;

/// <summary>Connects a model to machines: knows what an input must look like and how a batch runs on an instance.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IBatchRunnerFactory<TIn, TOut>
{
    /// <summary>Opens the model once, at start, so that a bad model fails there and not at the first request.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When the model is known.</returns>
    /// <exception cref="ModelLoadException">The model cannot be loaded; names the path.</exception>
    ValueTask InitializeAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>The tensors that requests bring and get, once they are known; <see langword="null"/> where the model has none, or before.</summary>
    ModelSignature? Signature => null;

    /// <summary>Checks an input on the caller's thread, before it is queued. Called concurrently.</summary>
    /// <param name="input">The input.</param>
    /// <returns>What the scheduler must know of it.</returns>
    /// <exception cref="InvalidInputException">The input does not fit the model; names the input, what it was and what is declared.</exception>
    RequestTraits Admit(TIn input) => RequestTraits.Default;

    /// <summary>Checks the memory that a caller wants an answer in, once its input is admitted and before it is queued. Called concurrently; the default takes any.</summary>
    /// <param name="input">The input.</param>
    /// <param name="destination">The memory.</param>
    /// <exception cref="InvalidInputException">No answer to the input fits in it; says what it holds and what is declared.</exception>
    void AdmitDestination(TIn input, TOut? destination)
    {
    }

    /// <summary>Loads the model on an instance, or connects to where it is loaded.</summary>
    /// <param name="instance">A running machine.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>A runner for that instance alone.</returns>
    ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken);

    /// <summary>An input to warm up and profile with, if one can be made up.</summary>
    /// <param name="sample">The input.</param>
    /// <returns>Whether there is one.</returns>
    bool TryCreateSample([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out TIn sample)
    {
        sample = default;
        return false;
    }
}

/// <summary>What the scheduler must know of an input.</summary>
/// <param name="ShapeKey">Inputs with different values never share a batch: derived from their shapes, for instance.</param>
/// <param name="Weight">How much of an instance the input takes, in the model's own unit (items, tokens, pixels); at least 1.</param>
/// <param name="Bytes">The memory the input holds while it waits, in bytes: its data, without the caller's own bookkeeping; 0 if it is not known.</param>
public readonly record struct RequestTraits(long ShapeKey, int Weight, long Bytes = 0)
{
    /// <summary>Every input may share a batch with every other; weight 1; its memory is not known.</summary>
    public static RequestTraits Default => new(0, 1);
}

/// <summary>Runs batches of one model on one instance. Called for one batch at a time, unless it says it has more slots.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IBatchRunner<TIn, TOut> : IAsyncDisposable
{
    /// <summary>The most requests of one batch; <see cref="int.MaxValue"/> if the runner has no limit of its own.</summary>
    int MaxBatchSize => int.MaxValue;

    /// <summary>How many batches may be under way at once (pipeline depth); at least 1.</summary>
    int Slots => 1;

    /// <summary>Whether <see cref="RunAsync"/> computes on the calling thread. Such a runner is called from a thread of its own.</summary>
    bool BlocksThread => false;

    /// <summary>Runs one batch and answers every index of it exactly once, through the sink, before it returns.</summary>
    /// <param name="batch">The inputs; valid until the returned task ends.</param>
    /// <param name="sink">Takes the answers, in any order, from any thread.</param>
    /// <param name="cancellationToken">Cancelled when the instance is being lost or the host stops hard; the work may be left.</param>
    /// <returns>When the batch is done. An exception fails the whole batch, which is retried in halves until the culprit is alone.</returns>
    /// <exception cref="InstanceFailedException">The instance is at fault, not the inputs: they go elsewhere, and it gets no batch until it is probed with success.</exception>
    ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken);
}

/// <summary>
/// A runner that computes on the calling thread and can leave the outputs where they are, for another thread to answer the requests from them. Its own thread then has the next batch to run sooner.
/// </summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IDeferringBatchRunner<TIn, TOut> : IBatchRunner<TIn, TOut>
{
    /// <summary>Whether outputs can be left; otherwise only <see cref="IBatchRunner{TIn, TOut}.RunAsync"/> is called. The same for the runner's life.</summary>
    bool CanDefer { get; }

    /// <summary>
    /// Runs one batch and answers nobody yet. As many outputs may be left as batches may be under way, and one more batch run meanwhile. They may also be read
    /// after the runner was disposed of.
    /// </summary>
    /// <param name="batch">The inputs; valid until this returns.</param>
    /// <param name="cancellationToken">As for <see cref="IBatchRunner{TIn, TOut}.RunAsync"/>.</param>
    /// <returns>What answers the requests. An exception fails the whole batch, as that of <see cref="IBatchRunner{TIn, TOut}.RunAsync"/> does.</returns>
    /// <exception cref="InstanceFailedException">As for <see cref="IBatchRunner{TIn, TOut}.RunAsync"/>.</exception>
    IBatchOutputs<TOut> Run(RequestBatch<TIn> batch, CancellationToken cancellationToken);
}

/// <summary>The outputs of one batch that was run.</summary>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IBatchOutputs<TOut>
{
    /// <summary>Answers every index of the batch exactly once, before it returns. Called once, on any thread.</summary>
    /// <param name="sink">Takes the answers, until this returns.</param>
    void Answer(IBatchSink<TOut> sink);
}

/// <summary>
/// Takes the answers to one batch, by index, until the run's task ends: it may be used for another batch then. An index answered twice is reported;
/// the first answer stands.
/// </summary>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IBatchSink<TOut>
{
    /// <summary>Answers one request; its caller goes on at once.</summary>
    /// <param name="index">Its index in the batch.</param>
    /// <param name="result">The answer.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such index.</exception>
    void SetResult(int index, TOut result);

    /// <summary>Answers consecutive requests at once; cheaper than one by one.</summary>
    /// <param name="first">The index of the first.</param>
    /// <param name="results">The answers, in order.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no so many requests from there on; none of them is answered.</exception>
    void SetResults(int first, ReadOnlySpan<TOut> results)
    {
        for (var i = 0; i < results.Length; i++)
        {
            SetResult(first + i, results[i]);
        }
    }

    /// <summary>Fails one request; its batch-mates go on.</summary>
    /// <param name="index">Its index in the batch.</param>
    /// <param name="error">What went wrong. The caller gets a <see cref="ServingException"/> as it is, but for an <see cref="InvalidInputException"/>: that, and any other, within an <see cref="InferenceFailedException"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such index.</exception>
    void SetError(int index, Exception error);

    /// <summary>
    /// The memory the caller wants the answer in. After <see langword="true"/> the caller waits until the index is answered, so
    /// fill it and answer with it straight away. After <see langword="false"/> answer with memory of your own.
    /// </summary>
    /// <param name="index">The request's index in the batch.</param>
    /// <param name="destination">The caller's memory.</param>
    /// <returns>Whether the caller gave memory and still waits.</returns>
    bool TryGetDestination(int index, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out TOut destination);
}

/// <summary>The inputs of one batch.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <param name="inputs">The inputs, in order.</param>
public readonly struct RequestBatch<TIn>(ReadOnlyMemory<TIn> inputs)
{
    /// <summary>How many requests.</summary>
    public int Count => inputs.Length;

    /// <summary>All inputs, in order.</summary>
    public ReadOnlySpan<TIn> Inputs => inputs.Span;

    /// <summary>One input.</summary>
    /// <param name="index">Its index.</param>
    public TIn this[int index] => inputs.Span[index];
}
