namespace MArk.Serving;

/// <summary>The base of every error this library names.</summary>
public class ServingException : Exception
{
    /// <summary>An error without details.</summary>
    public ServingException() { }

    /// <summary>An error that says what was wrong.</summary>
    /// <param name="message">What was wrong and what is accepted.</param>
    public ServingException(string message) : base(message) { }

    /// <summary>An error with its cause.</summary>
    /// <param name="message">What was wrong and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public ServingException(string message, Exception? innerException) : base(message, innerException) { }
}

/// <summary>A request was not run. It may be sent again, here after <see cref="RetryAfter"/> or elsewhere.</summary>
public sealed class InferenceRejectedException : ServingException
{
    /// <summary>A rejection.</summary>
    /// <param name="modelName">The model that was asked.</param>
    /// <param name="reason">Why the request was not run.</param>
    /// <param name="retryAfter">When the model expects to take such a request again, if it can tell.</param>
    public InferenceRejectedException(string modelName, RejectionReason reason, TimeSpan? retryAfter = null)
        : base(Describe(modelName, reason, retryAfter))
    {
        ModelName = modelName;
        Reason = reason;
        RetryAfter = retryAfter;
    }

    /// <summary>The model that was asked.</summary>
    public string ModelName { get; }

    /// <summary>Why the request was not run.</summary>
    public RejectionReason Reason { get; }

    /// <summary>When the model expects to take such a request again; <see langword="null"/> if it cannot tell.</summary>
    public TimeSpan? RetryAfter { get; }

    private static string Describe(string modelName, RejectionReason reason, TimeSpan? retryAfter)
    {
        var why = reason switch
        {
            RejectionReason.QueueFull => "its queue is full",
            RejectionReason.DeadlineUnreachable => "the deadline cannot be met",
            RejectionReason.Draining => "it takes no new work (stopping, or not started)",
            RejectionReason.NoCapacity => "it has no instance and expects none in time",
            _ => reason.ToString(),
        };
        var retry = retryAfter is { } after ? $" Try again after {after.TotalSeconds:0.###} s." : "";
        return $"Model '{modelName}' rejected the request: {why}.{retry}";
    }
}

/// <summary>A request was run and failed; its batch-mates did not.</summary>
public sealed class InferenceFailedException : ServingException
{
    /// <summary>A failure.</summary>
    /// <param name="modelName">The model that was asked.</param>
    /// <param name="message">What went wrong.</param>
    /// <param name="innerException">What the runner threw or reported.</param>
    public InferenceFailedException(string modelName, string message, Exception? innerException = null)
        : base($"Model '{modelName}' failed the request: {message}", innerException) => ModelName = modelName;

    /// <summary>The model that was asked.</summary>
    public string ModelName { get; }
}

/// <summary>
/// An instance is at fault, not the inputs it was given: a lost connection, a device error. A runner throws it from
/// <see cref="IBatchRunner{TIn, TOut}.RunAsync"/>. What the batch had not answered waits again, with its old deadlines and place, and fails only after that has
/// happened to it too often; the instance gets nothing until it is probed with success.
/// </summary>
public sealed class InstanceFailedException : ServingException
{
    /// <summary>A failure of an instance.</summary>
    /// <param name="message">What is wrong with it.</param>
    /// <param name="innerException">The cause.</param>
    public InstanceFailedException(string message, Exception? innerException = null) : base(message, innerException) { }

    /// <summary>
    /// How long an instance that is well, and has too much to do, is left alone; <see langword="null"/>, the default, where it is not well. What it was given waits again then without that counting
    /// against what may be lost under a request.
    /// </summary>
    public TimeSpan? BusyFor { get; init; }
}

/// <summary>An input, or the memory that an answer is wanted in, does not fit what the model declares; nothing was queued. What only a run finds out is an <see cref="InferenceFailedException"/>.</summary>
public sealed class InvalidInputException : ServingException
{
    /// <summary>A misfit.</summary>
    /// <param name="inputName">The input's name.</param>
    /// <param name="message">What it was and what the model declares.</param>
    public InvalidInputException(string inputName, string message)
        : base($"Input '{inputName}': {message}") => InputName = inputName;

    /// <summary>The input that does not fit.</summary>
    public string InputName { get; }
}

/// <summary>A model cannot be loaded: the file is missing, is no model, or asks for something this host lacks.</summary>
public sealed class ModelLoadException : ServingException
{
    /// <summary>A model that cannot be loaded.</summary>
    /// <param name="path">The model's path or address.</param>
    /// <param name="message">What was wrong with it.</param>
    /// <param name="innerException">The cause.</param>
    public ModelLoadException(string path, string message, Exception? innerException = null)
        : base($"Model file '{path}': {message}", innerException) => Path = path;

    /// <summary>The model's path or address.</summary>
    public string Path { get; }
}

/// <summary>A new version of a model does not serve; the version that served before goes on.</summary>
public sealed class ModelReloadException : ServingException
{
    /// <summary>A reload that came to nothing.</summary>
    /// <param name="modelName">The model.</param>
    /// <param name="message">What is wrong with the new version.</param>
    /// <param name="innerException">The cause.</param>
    public ModelReloadException(string modelName, string message, Exception? innerException = null)
        : base($"Model '{modelName}' was not reloaded, and its present version goes on: {message}", innerException) => ModelName = modelName;

    /// <summary>The model.</summary>
    public string ModelName { get; }
}

/// <summary>A pluggable part (a policy, a runner, a predictor, a planner) answered outside its contract.</summary>
/// <remarks>The engine goes on with its own safe answer in place of the bad one; no request is lost.</remarks>
public sealed class ContractViolationException : ServingException
{
    /// <summary>An answer outside the contract.</summary>
    /// <param name="partName">The type that answered.</param>
    /// <param name="message">What it answered and what is accepted.</param>
    /// <param name="innerException">What it threw, if it did.</param>
    public ContractViolationException(string partName, string message, Exception? innerException = null)
        : base($"{partName}: {message}", innerException) => PartName = partName;

    /// <summary>The type that answered.</summary>
    public string PartName { get; }
}
