namespace MArk.Serving.Spillover;

/// <summary>A spillover target that runs the model itself, and so has to follow when a newer version takes its place.</summary>
internal interface IVersionFollower<TIn, TOut>
{
    /// <summary>Gets ready to run a version, while the present one is still used.</summary>
    /// <param name="next">The version.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What makes the switch, and is to be disposed of either way.</returns>
    Task<IVersionSwitch> PrepareAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken);
}

/// <summary>A version that a target is ready to run. Disposing of it lets go of what was prepared, unless the switch was made.</summary>
internal interface IVersionSwitch : IAsyncDisposable
{
    /// <summary>Runs the version from here on.</summary>
    /// <param name="report">Takes what goes wrong with what runs the older version: the switch is made all the same.</param>
    Task SwitchAsync(Action<ServingException> report);
}
