namespace MArk.Serving;

/// <summary>Puts another version of a served model in the place of the one that serves. Registered as a keyed service under the model's name.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IModelReloader<TIn, TOut>
{
    /// <summary>
    /// Loads a version beside the one that serves and warms it up at every batch size; then all instances switch at once, what is running finishes on the
    /// old version, and the old version is unloaded. No request fails or waits for it, and both versions are in memory only meanwhile. Reloads happen
    /// one after the other.
    /// </summary>
    /// <param name="next">The version to serve from now on; it must take the inputs that the present one takes.</param>
    /// <param name="cancellationToken">Gives up, until the switch; the present version goes on.</param>
    /// <returns>When the new version serves and the old one is unloaded.</returns>
    /// <exception cref="ModelReloadException">
    /// The new version cannot be loaded, fails its warm-up, or does not take the same inputs; or the model does not run. The present version goes on serving.
    /// </exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the present version goes on serving.</exception>
    Task ReloadAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken = default);

    /// <summary>As <see cref="ReloadAsync(IBatchRunnerFactory{TIn, TOut}, CancellationToken)"/>, for a version that follows from the one it replaces: that keeps its options, for instance.</summary>
    /// <param name="next">Makes the version to serve from now on of the one that serves once reloads before this one are over; must not change that one.</param>
    /// <param name="cancellationToken">Gives up, until the switch; the present version goes on.</param>
    /// <returns>When the new version serves and the old one is unloaded.</returns>
    /// <exception cref="ModelReloadException">As for a version that is given; or <paramref name="next"/> threw. The present version goes on serving.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the present version goes on serving.</exception>
    Task ReloadAsync(Func<IBatchRunnerFactory<TIn, TOut>, IBatchRunnerFactory<TIn, TOut>> next, CancellationToken cancellationToken = default);
}
