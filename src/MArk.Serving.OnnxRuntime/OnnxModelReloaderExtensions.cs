using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Puts another ONNX file in the place of the one that serves.</summary>
public static class OnnxModelReloaderExtensions
{
    /// <summary>
    /// Serves another file from now on, with the options of the version that serves (<see cref="OnnxRunnerOptions"/> but for the path, and whether NaN and infinities are let through); for models of
    /// <see cref="OnnxModelBuilderExtensions.UseOnnx(DependencyInjection.ModelBuilder{float[], float[]}, string)"/>, or with options and a <see cref="SingleTensorCodec{TInElement, TOutElement}"/>.
    /// </summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="path">The ONNX file; the same path if its content has changed.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the file serves and the old version is unloaded.</returns>
    /// <exception cref="ModelReloadException">The file does not serve, or the present version is no ONNX model or has a codec of the host's own; the present version goes on.</exception>
    public static Task ReloadOnnxAsync(this IModelReloader<float[], float[]> reloader, string path, CancellationToken cancellationToken = default) =>
        ReloadAsync(reloader, path, static codec => codec is SingleTensorCodec<float, float> own ? new SingleTensorCodec<float, float> { AllowNonFinite = own.AllowNonFinite } : null, cancellationToken);

    /// <summary>
    /// Serves another file from now on, with the options of the version that serves, as for arrays; for models of
    /// <see cref="OnnxModelBuilderExtensions.UseOnnx(DependencyInjection.ModelBuilder{NamedTensors, NamedTensors}, string)"/>, or with options and a <see cref="NamedTensorsCodec"/>.
    /// </summary>
    /// <param name="reloader">The model's reloader.</param>
    /// <param name="path">The ONNX file; the same path if its content has changed.</param>
    /// <param name="cancellationToken">Gives up, until the switch.</param>
    /// <returns>When the file serves and the old version is unloaded.</returns>
    /// <exception cref="ModelReloadException">The file does not serve, or the present version is no ONNX model or has a codec of the host's own; the present version goes on.</exception>
    public static Task ReloadOnnxAsync(this IModelReloader<NamedTensors, NamedTensors> reloader, string path, CancellationToken cancellationToken = default) =>
        ReloadAsync(reloader, path, static codec => codec is NamedTensorsCodec own ? new NamedTensorsCodec { AllowNonFinite = own.AllowNonFinite } : null, cancellationToken);

    /// <summary>Serves another file from now on, with options of its own and through a codec.</summary>
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

    private static Task ReloadAsync<TIn, TOut>(
        IModelReloader<TIn, TOut> reloader, string path, Func<ITensorCodec<TIn, TOut>, ITensorCodec<TIn, TOut>?> renew, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reloader);
        ArgumentException.ThrowIfNullOrEmpty(path);
        return reloader.ReloadAsync(serving => serving is OnnxBatchRunnerFactory<TIn, TOut> onnx
            ? onnx.At(path, renew(onnx.Codec) ?? throw CannotFollow($"its codec is a {onnx.Codec.GetType().Name}, and a new one like it cannot be made here"))
            : throw CannotFollow($"it is a {serving.GetType().Name}, and has no ONNX options to keep"), cancellationToken);
    }

    private static ServingException CannotFollow(string why) => new($"A file given by its path alone is run as the present version is; {why}. Reload with options and a codec.");
}
