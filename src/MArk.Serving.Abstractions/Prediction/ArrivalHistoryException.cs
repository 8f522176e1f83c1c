namespace MArk.Serving;

/// <summary>A model's arrival history could not be loaded, saved or used; the model is served all the same.</summary>
public sealed class ArrivalHistoryException : ServingException
{
    /// <summary>A history that is not as it should be.</summary>
    /// <param name="modelName">The model.</param>
    /// <param name="message">What is wrong, and what becomes of it.</param>
    /// <param name="keptAsideAt">Where what was stored has been moved to, if it was.</param>
    /// <param name="innerException">The cause.</param>
    public ArrivalHistoryException(string modelName, string message, string? keptAsideAt = null, Exception? innerException = null)
        : base($"The arrival history of model '{modelName}' {message}", innerException)
    {
        ModelName = modelName;
        KeptAsideAt = keptAsideAt;
    }

    /// <summary>The model.</summary>
    public string ModelName { get; }

    /// <summary>Where what was stored has been moved to; <see langword="null"/> if it is where it was, or there was nothing.</summary>
    public string? KeptAsideAt { get; }
}

/// <summary>Bytes are no arrival history that can be read: another kind of file, another version of the format, or damaged.</summary>
public sealed class ArrivalHistoryFormatException : ServingException
{
    /// <summary>Bytes that cannot be read.</summary>
    /// <param name="message">What was wrong and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public ArrivalHistoryFormatException(string message, Exception? innerException = null) : base(message, innerException) { }
}
