namespace MArk.Serving;

/// <summary>
/// Keeps the arrival histories of models where a restart of the host does not lose them. It stores bytes and need not understand them: what they are, and
/// whether they are whole, is checked by who reads them. Called for one thing at a time for a model, never on a request's way; what it throws is
/// reported, tried again with the next save, and stops nothing.
/// </summary>
public interface IArrivalHistoryStore
{
    /// <summary>What was saved last.</summary>
    /// <param name="modelName">The model.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The bytes; <see langword="null"/> if there are none. Nothing is saved for the model until this has returned, so that what could not be read is not overwritten.</returns>
    ValueTask<ReadOnlyMemory<byte>?> LoadAsync(string modelName, CancellationToken cancellationToken);

    /// <summary>Puts bytes in the place of what was saved last: whole or not at all, whenever the process or the machine ends.</summary>
    /// <param name="modelName">The model.</param>
    /// <param name="history">The bytes; only read, and only until this has returned.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>A task that ends when they are kept.</returns>
    ValueTask SaveAsync(string modelName, ReadOnlyMemory<byte> history, CancellationToken cancellationToken);

    /// <summary>
    /// Moves what was saved last, which cannot be used, to where neither a later save nor a later move overwrites it. Nothing is deleted: a human may want to look at it.
    /// </summary>
    /// <param name="modelName">The model.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Where it is, for the human; <see langword="null"/> if there is nothing saved any more.</returns>
    ValueTask<string?> SetAsideAsync(string modelName, CancellationToken cancellationToken);
}
