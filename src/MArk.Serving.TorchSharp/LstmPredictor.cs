using MArk.Serving.Prediction;

namespace MArk.Serving.TorchSharp;

/// <summary>The paper's LSTM as a predictor, with the same conformal residuals around it as the built-in ones have.</summary>
public static class LstmPredictor
{
    /// <summary>
    /// Makes a predictor of an LSTM alone. To mix it with the built-in ones, by how little each has erred of late:
    /// <c>new AutoPredictor([.. AutoPredictor.BuiltIn(options), LstmPredictor.Create(options)], options)</c>. It is <see cref="ITrainable"/>.
    /// </summary>
    /// <param name="options">Intervals and horizon; the defaults if <see langword="null"/>.</param>
    /// <param name="lstm">Its size and its training; the defaults if <see langword="null"/>.</param>
    /// <param name="weightsFile">
    /// Where what it learned is kept across restarts: read now, and written after each training, on the training's thread; nowhere if <see langword="null"/>. Of one model only. A file that cannot be
    /// used is renamed, never deleted. A relative path is taken from the process's current directory, now.
    /// </param>
    /// <param name="report">Told what goes wrong with the file, on the thread it happens on; nothing of it is thrown.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor Create(
        PredictorOptions? options = null, LstmOptions? lstm = null, string? weightsFile = null, Action<ServingException>? report = null)
    {
        options ??= new PredictorOptions();
        if (weightsFile is null)
        {
            return new ConformalPredictor(interval => new LstmForecaster(interval, options.Horizon, lstm), options);
        }
        ArgumentException.ThrowIfNullOrWhiteSpace(weightsFile);
        var file = new LstmWeightsFile(weightsFile, report ?? (_ => { }));
        return new ConformalPredictor(interval => Kept(file, interval, options, lstm), options);
    }

    /// <summary>
    /// The file is for intervals of the length that is planned by. A history that is kept begins with longer ones, and what is learned of those is worth no file.
    /// </summary>
    private static LstmForecaster Kept(LstmWeightsFile file, TimeSpan interval, PredictorOptions options, LstmOptions? lstm)
    {
        if (interval != options.Interval)
        {
            return new LstmForecaster(interval, options.Horizon, lstm);
        }
        var forecaster = new LstmForecaster(interval, options.Horizon, lstm, file.Save);
        file.Load(forecaster);
        return forecaster;
    }
}
