namespace MArk.Serving.Simulation;

/// <summary>A problem that has no lower bound: an input is outside its range, or nothing can serve as much as is asked.</summary>
public sealed class LowerBoundProblemException : ServingException
{
    /// <summary>A problem that has no lower bound.</summary>
    /// <param name="input">Which input: a member of <see cref="LowerBoundProblem"/>.</param>
    /// <param name="message">What was wrong with it and what is accepted.</param>
    public LowerBoundProblemException(string input, string message) : base($"{input}: {message}") => Input = input;

    /// <summary>Which input.</summary>
    public string Input { get; }
}
