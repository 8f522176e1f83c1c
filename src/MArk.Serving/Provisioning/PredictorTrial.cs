using MArk.Serving.Configuration;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Provisioning;

/// <summary>Asks a predictor once for the forecast that its fleet will ask it for: one made for other steps would throw at every plan.</summary>
internal static class PredictorTrial
{
    /// <param name="modelName">The model.</param>
    /// <param name="predictor">Its predictor, before the first sample.</param>
    /// <param name="options">Its fleet's settings.</param>
    /// <param name="now">From when on is forecast.</param>
    /// <exception cref="OptionsValidationException">It cannot forecast so many steps of that length; names the settings, and what it said.</exception>
    public static void Run(string modelName, IWorkloadPredictor predictor, FleetOptions options, DateTimeOffset now)
    {
        var forecast = new WorkloadForecast(options.Horizon, options.PlanInterval) { Start = now };
        try
        {
            predictor.Forecast(forecast);
        }
        catch (ArgumentException e) when (e.ParamName == nameof(forecast))
        {
            throw new OptionsValidationException(
                modelName, typeof(ModelOptions),
                [
                    $"MArk:Models:{modelName}:Fleet:PlanInterval is {options.PlanInterval} and Fleet:Horizon is {options.Horizon}; accepted: what {predictor.GetType().Name}, the predictor that the model uses, can " +
                    $"forecast, or a predictor made for them, by {nameof(Prediction.PredictorOptions)}.{nameof(Prediction.PredictorOptions.Of)}. It said: {e.Message}",
                ]);
        }
        catch (Exception)
        {
            // Not the settings' fault: it is reported, and worked around, when the fleet is planned.
        }
    }
}
