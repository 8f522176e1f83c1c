namespace MArk.Serving.Spillover;

/// <summary>A spillover target that runs the model itself, and so has to follow when a newer version takes its place.</summary>
internal interface IVersionFollower<TIn, TOut>
{
    /// <summary>Gets ready to run a version, while the present one is still used.</summary>
    /// <param name="next">The version.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What makes the switch.</returns>
    Task<Func<Task>> PrepareAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken);
}
