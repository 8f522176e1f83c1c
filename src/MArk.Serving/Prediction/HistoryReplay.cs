namespace MArk.Serving.Prediction;

/// <summary>Tells a predictor what was before.</summary>
internal static class HistoryReplay
{
    /// <summary>Has a predictor observe a history, in less time than sample by sample if it can.</summary>
    /// <param name="predictor">The predictor; it has observed nothing yet.</param>
    /// <param name="past">The history, ascending.</param>
    public static void ObserveHistory(this IWorkloadPredictor predictor, IReadOnlyList<ArrivalSample> past)
    {
        var learner = predictor as IHistoryLearner;
        learner?.BeginHistory(past);
        try
        {
            foreach (var sample in past)
            {
                predictor.Observe(sample);
            }
        }
        finally
        {
            learner?.EndHistory();
        }
    }
}
