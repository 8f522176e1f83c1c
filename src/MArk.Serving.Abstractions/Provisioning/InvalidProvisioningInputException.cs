namespace MArk.Serving;

/// <summary>A planner was given something that cannot be planned from.</summary>
public sealed class InvalidProvisioningInputException : ServingException
{
    /// <summary>An input that cannot be planned from.</summary>
    /// <param name="input">Which: a member of <see cref="ProvisioningContext"/>, or the plan.</param>
    /// <param name="message">What was wrong with it and what is accepted.</param>
    public InvalidProvisioningInputException(string input, string message) : base($"{input}: {message}") => Input = input;

    /// <summary>Which input.</summary>
    public string Input { get; }
}
