namespace MArk.Serving.Simulation.Reporting;

/// <summary>A study's report cannot be written where it should be.</summary>
public sealed class StudyOutputException : ServingException
{
    /// <summary>A report that cannot be written.</summary>
    /// <param name="path">The folder, or the file in it.</param>
    /// <param name="reason">What is in the way.</param>
    /// <param name="innerException">The cause.</param>
    public StudyOutputException(string path, string reason, Exception? innerException = null)
        : base($"The study's output '{path}' cannot be written: {reason}", innerException)
    {
        Path = path;
        Reason = reason;
    }

    /// <summary>The folder, or the file in it.</summary>
    public string Path { get; }

    /// <summary>What is in the way.</summary>
    public string Reason { get; }
}
