using MArk.Serving.Prediction;

namespace MArk.Serving.TorchSharp;

/// <summary>The paper's LSTM as a predictor, with the same conformal residuals around it as the built-in ones have (<see cref="ConformalPredictor"/>).</summary>
public static class LstmPredictor
{
    /// <summary>
    /// Makes a predictor of an LSTM alone, whose weights are gone with the process. To mix it with the built-in ones, by how little each has erred of late:
    /// <c>new AutoPredictor([.. AutoPredictor.BuiltIn(options), LstmPredictor.Create(options)], options)</c>. It is <see cref="ITrainable"/>.
    /// </summary>
    /// <param name="options">Intervals and horizon; the defaults if <see langword="null"/>.</param>
    /// <param name="lstm">Its size and its training; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor Create(PredictorOptions? options = null, LstmOptions? lstm = null)
    {
        options ??= new PredictorOptions();
        return new ConformalPredictor(interval => new LstmForecaster(interval, options.Horizon, lstm), options);
    }

    /// <summary>
    /// Makes a predictor of an LSTM alone, as <see cref="Create(PredictorOptions, LstmOptions)"/> does, whose weights are kept in a file across restarts: read now, and
    /// written after each training, on the training's thread.
    /// </summary>
    /// <param name="options">Intervals and horizon; the defaults if <see langword="null"/>.</param>
    /// <param name="lstm">Its size and its training; the defaults if <see langword="null"/>.</param>
    /// <param name="weightsFile">
    /// The file, of one model only; made with the first save, and its directory too. One that is damaged, of another version, or for an LSTM of another shape is renamed to
    /// <c>.aside-1</c>, <c>.aside-2</c> and so on, never deleted. A relative path is taken from the process's current directory, now. A process that is killed in the middle
    /// of a save leaves a file ending in <c>.tmp</c> behind, which may be deleted.
    /// </param>
    /// <param name="report">
    /// Told what goes wrong with the file, on the thread it happens on: an <see cref="LstmFormatException"/> with the path of what was renamed where the file is at fault, another
    /// <see cref="ServingException"/> where it cannot be read or written. Nothing of it is thrown, and the LSTM goes on without the file.
    /// </param>
    /// <returns>The predictor.</returns>
    /// <exception cref="ArgumentException">The path is empty, or no path.</exception>
    public static IWorkloadPredictor Create(PredictorOptions? options, LstmOptions? lstm, string weightsFile, Action<ServingException> report)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(weightsFile);
        ArgumentNullException.ThrowIfNull(report);
        options ??= new PredictorOptions();
        var file = new LstmWeightsFile(weightsFile, report);
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
