namespace MArk.Serving;

/// <summary>
/// Something that learns by training that is too long for its caller's thread: an <see cref="IWorkloadPredictor"/> or an <see cref="IRateForecaster"/>.
/// Training is a command and a later event, never a thread of the predictor's own: the host takes a job when one is due, runs it on a background thread, and
/// applies what came of it later, between two calls of the predictor. Forecasts go on all the while, from what was learned before.
/// </summary>
public interface ITrainable
{
    /// <summary>
    /// Takes the training that is due by the samples seen so far, with all the data it needs. Asked on the predictor's thread, after each control interval
    /// and until there is none; jobs are run one at a time. One that failed, was cancelled or is not wanted is dropped without being applied: the next comes
    /// when it is due.
    /// </summary>
    /// <returns>The job; <see langword="null"/> if none is due.</returns>
    ITrainingJob? TakeTrainingJob();
}

/// <summary>One training: a snapshot of the data when it was taken, and what was learned from it.</summary>
public interface ITrainingJob
{
    /// <summary>Trains. Called once, on any thread, beside the predictor's calls, with which it shares nothing that changes.</summary>
    /// <param name="cancellationToken">Ends the training early.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ServingException">It failed; says of what. The predictor goes on with what it learned before.</exception>
    void Run(CancellationToken cancellationToken);

    /// <summary>Has the predictor forecast by what was learned. Called once, on the predictor's thread, only after <see cref="Run"/> came back without an error; brief.</summary>
    void Apply();
}
