using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Runs ONNX models.</summary>
public static class OnnxModelBuilderExtensions
{
    /// <summary>Runs an ONNX model with one input and one output, as arrays of numbers.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The ONNX file.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<float[], float[]> UseOnnx(this ModelBuilder<float[], float[]> model, string path) =>
        model.UseOnnx(new OnnxRunnerOptions { Path = path }, new SingleTensorCodec<float, float>());

    /// <summary>Runs an ONNX model with any number of named inputs and outputs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The ONNX file.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<NamedTensors, NamedTensors> UseOnnx(this ModelBuilder<NamedTensors, NamedTensors> model, string path) =>
        model.UseOnnx(new OnnxRunnerOptions { Path = path }, new NamedTensorsCodec());

    /// <summary>Runs an ONNX model through a codec.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="options">The file and what computes it.</param>
    /// <param name="codec">Maps requests to tensors and back. One of its own: a codec belongs to one model and version, and the start fails where it is bound to other tensors.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<TIn, TOut> UseOnnx<TIn, TOut>(this ModelBuilder<TIn, TOut> model, OnnxRunnerOptions options, ITensorCodec<TIn, TOut> codec)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(codec);
        return model.UseRunner(_ => new OnnxBatchRunnerFactory<TIn, TOut>(options, codec), options.OwnThreads);
    }
}
