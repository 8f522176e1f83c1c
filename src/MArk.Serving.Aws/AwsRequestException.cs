namespace MArk.Serving.Aws;

/// <summary>AWS refused a call, or could not be reached.</summary>
public sealed class AwsRequestException : ServingException
{
    /// <summary>A call that failed.</summary>
    /// <param name="action">The action, as IAM policies name it: <c>ec2:DescribeInstances</c>.</param>
    /// <param name="errorCode">AWS's code; <see langword="null"/> where AWS was not reached.</param>
    /// <param name="message">What was said, and what helps.</param>
    /// <param name="innerException">The cause.</param>
    public AwsRequestException(string action, string? errorCode, string message, Exception? innerException = null)
        : base($"{action}: {message}", innerException) => (Action, ErrorCode) = (action, errorCode);

    /// <summary>The action, as IAM policies name it.</summary>
    public string Action { get; }

    /// <summary>AWS's code; <see langword="null"/> where AWS was not reached.</summary>
    public string? ErrorCode { get; }
}
