using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.TorchSharp;

/// <summary>Predicts a model's workload by an LSTM.</summary>
public static class LstmModelBuilderExtensions
{
    /// <summary>
    /// Forecasts the load of a model with a fleet by an LSTM beside the built-in predictors, mixed by how little each has erred of late (<see cref="AutoPredictor"/>), or by it alone. It is trained on a
    /// thread of its own while the model is served. That needs the native libtorch, of a package that the host references; without it each training that is due is logged as failed, by
    /// <see cref="LibTorchMissingException"/>, and the LSTM forecasts the last value.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="options">The LSTM's size and its training; the defaults if <see langword="null"/>.</param>
    /// <param name="weightsFile">
    /// Where what it learned is kept across restarts, of this model only; nowhere if <see langword="null"/>. A relative path is taken from the process's current directory. A file
    /// that cannot be used is renamed, never deleted, and logged as an error with the path that it has now.
    /// </param>
    /// <param name="alone">Whether it forecasts alone.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">The file's path is empty.</exception>
    public static ModelBuilder<TIn, TOut> UseLstmPredictor<TIn, TOut>(
        this ModelBuilder<TIn, TOut> model, LstmOptions? options = null, string? weightsFile = null, bool alone = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (weightsFile is not null)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(weightsFile);
        }
        return model.UsePredictor(provider =>
        {
            var fleet = provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get(model.Name).Fleet;
            var logger = provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{model.Name}");
            var predictor = PredictorOptions.Of(fleet);
            var lstm = weightsFile is null
                ? LstmPredictor.Create(predictor, options)
                : LstmPredictor.Create(
                    predictor, options, weightsFile, error => logger.LogError(error, "The LSTM of model '{Model}' has trouble with its file, and goes on without it.", model.Name));
            return alone ? lstm : new AutoPredictor([.. AutoPredictor.BuiltIn(predictor), lstm], predictor);
        });
    }
}
