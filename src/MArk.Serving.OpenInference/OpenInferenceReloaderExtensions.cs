using MArk.Serving.Tensors;

namespace MArk.Serving.OpenInference;

/// <summary>Rolls another version of a model out over the instances that it is served from.</summary>
public static class OpenInferenceReloaderExtensions
{
    /// <summary>
    /// Serves another version from now on; for models of <see cref="OpenInferenceModelBuilderExtensions.UseOpenInference(DependencyInjection.ModelBuilder{float[], float[]}, OpenInferenceOptions)"/>. Each
    /// instance is told in turn to load it beside the present one; once all have it warm they switch between two batches, and the present one is unloaded.
    /// </summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="options">How the version is reached: its <see cref="OpenInferenceOptions.Artifact"/>, or its <see cref="OpenInferenceOptions.Version"/> where servers have it.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the version serves and the one before is unloaded.</returns>
    /// <exception cref="ModelReloadException">The version does not serve on every instance; the present one goes on, and what was loaded of the new one is unloaded.</exception>
    public static Task ReloadOpenInferenceAsync(this IModelReloader<float[], float[]> reloader, OpenInferenceOptions options, CancellationToken cancellationToken = default) =>
        reloader.ReloadOpenInferenceAsync(options, new SingleTensorCodec<float, float>(), cancellationToken);

    /// <summary>As for arrays, for models of <see cref="OpenInferenceModelBuilderExtensions.UseOpenInference(DependencyInjection.ModelBuilder{NamedTensors, NamedTensors}, OpenInferenceOptions)"/>.</summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="options">How the version is reached.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the version serves and the one before is unloaded.</returns>
    /// <exception cref="ModelReloadException">The version does not serve on every instance; the present one goes on.</exception>
    public static Task ReloadOpenInferenceAsync(this IModelReloader<NamedTensors, NamedTensors> reloader, OpenInferenceOptions options, CancellationToken cancellationToken = default) =>
        reloader.ReloadOpenInferenceAsync(options, new NamedTensorsCodec(), cancellationToken);

    /// <summary>As for arrays, through a codec.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="options">How the version is reached.</param>
    /// <param name="codec">Maps requests to tensors and back; a new one, as that of the present version is bound to its tensors.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the version serves and the one before is unloaded.</returns>
    /// <exception cref="ModelReloadException">The version does not serve on every instance, or the codec is bound to other tensors than it has; the present one goes on.</exception>
    public static Task ReloadOpenInferenceAsync<TIn, TOut>(
        this IModelReloader<TIn, TOut> reloader, OpenInferenceOptions options, ITensorCodec<TIn, TOut> codec, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(reloader);
        return reloader.ReloadAsync(new OpenInferenceRunnerFactory<TIn, TOut>(options, codec), cancellationToken);
    }
}
