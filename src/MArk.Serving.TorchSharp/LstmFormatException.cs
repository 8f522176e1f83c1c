namespace MArk.Serving.TorchSharp;

/// <summary>Bytes are no weights that an LSTM can take: another kind of file, another version of the format, damaged, or of an LSTM of another shape.</summary>
public sealed class LstmFormatException : ServingException
{
    /// <summary>Bytes that cannot be taken.</summary>
    /// <param name="message">What was wrong and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public LstmFormatException(string message, Exception? innerException = null) : base(message, innerException) { }
}
