namespace MArk.Serving;

/// <summary>A sample that a predictor cannot learn from: out of order, overlapping, or with values that no slot has. It was not taken.</summary>
public sealed class InvalidArrivalSampleException : ServingException
{
    /// <summary>A sample that was refused.</summary>
    /// <param name="sample">The sample.</param>
    /// <param name="message">What was wrong and what is accepted.</param>
    public InvalidArrivalSampleException(in ArrivalSample sample, string message)
        : base(FormattableString.Invariant($"The sample of {sample.Start.UtcDateTime:yyyy-MM-dd HH:mm:ss.FFF}Z, {sample.Length.TotalSeconds} s long, {sample.Count} requests: {message}")) => Sample = sample;

    /// <summary>The sample.</summary>
    public ArrivalSample Sample { get; }
}
