namespace MArk.Serving.Prediction;

/// <summary>A predictor that learns from a history in less time than from as many samples that come one by one.</summary>
internal interface IHistoryLearner
{
    /// <summary>These samples are observed next, one after the other, and no forecast is wanted before the last of them.</summary>
    /// <param name="past">The samples, ascending.</param>
    void BeginHistory(IReadOnlyList<ArrivalSample> past);

    /// <summary>What comes from here on comes one by one, whether or not all of the history has come.</summary>
    void EndHistory();
}
