using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Puts another ONNX file in the place of the one that serves.</summary>
public static class OnnxModelReloaderExtensions
{
    /// <summary>Serves another file from now on; for models of <see cref="OnnxModelBuilderExtensions.UseOnnx(DependencyInjection.ModelBuilder{float[], float[]}, string)"/>.</summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="path">The ONNX file; the same path if its content has changed.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the file serves and the old version is unloaded.</returns>
    /// <exception cref="ModelReloadException">The file does not serve; the present version goes on.</exception>
    public static Task ReloadOnnxAsync(this IModelReloader<float[], float[]> reloader, string path, CancellationToken cancellationToken = default) =>
        reloader.ReloadOnnxAsync(new OnnxRunnerOptions { Path = path }, new SingleTensorCodec<float, float>(), cancellationToken);

    /// <summary>Serves another file from now on; for models of <see cref="OnnxModelBuilderExtensions.UseOnnx(DependencyInjection.ModelBuilder{NamedTensors, NamedTensors}, string)"/>.</summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="path">The ONNX file; the same path if its content has changed.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the file serves and the old version is unloaded.</returns>
    /// <exception cref="ModelReloadException">The file does not serve; the present version goes on.</exception>
    public static Task ReloadOnnxAsync(this IModelReloader<NamedTensors, NamedTensors> reloader, string path, CancellationToken cancellationToken = default) =>
        reloader.ReloadOnnxAsync(new OnnxRunnerOptions { Path = path }, new NamedTensorsCodec(), cancellationToken);

    /// <summary>Serves another file from now on, through a codec.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="options">The file and what computes it.</param>
    /// <param name="codec">Maps requests to tensors and back; a new one, as that of the present version is bound to its tensors.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the file serves and the old version is unloaded.</returns>
    /// <exception cref="ModelReloadException">The file does not serve, or the codec is bound to other tensors than the file's; the present version goes on.</exception>
    public static Task ReloadOnnxAsync<TIn, TOut>(
        this IModelReloader<TIn, TOut> reloader, OnnxRunnerOptions options, ITensorCodec<TIn, TOut> codec, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(reloader);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(codec);
        return reloader.ReloadAsync(new OnnxBatchRunnerFactory<TIn, TOut>(options, codec), cancellationToken);
    }
}
