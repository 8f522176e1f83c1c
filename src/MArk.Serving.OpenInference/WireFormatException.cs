namespace MArk.Serving.OpenInference;

/// <summary>A message of the Open Inference Protocol is not as it must be.</summary>
public sealed class WireFormatException : ServingException
{
    /// <summary>A message that is not as it must be.</summary>
    /// <param name="field">Which part of the message: <c>inputs[0].shape</c>, for instance.</param>
    /// <param name="message">What it was and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public WireFormatException(string field, string message, Exception? innerException = null) : base($"{field}: {message}", innerException) => Field = field;

    /// <summary>Which part of the message is at fault.</summary>
    public string Field { get; }
}
