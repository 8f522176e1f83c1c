namespace MArk.Serving.Provisioning;

// What the predictor learns beside its forecasts.
internal sealed partial class FleetController
{
    private ITrainingJob? _training;                        // the one that is being run

    /// <summary>A training has ended well: the predictor forecasts by what was learned from now on.</summary>
    public void OnTrained(DateTimeOffset now, ITrainingJob job)
    {
        if (job != _training)
        {
            return;
        }
        _training = null;
        try
        {
            job.Apply();
        }
        catch (Exception e)
        {
            // Another is asked for with the next control interval, not at once.
            Fault(job, "threw from Apply; the predictor goes on with what it learned before.", e);
            return;
        }
        Train();
    }

    /// <summary>A training has come to nothing: the predictor goes on with what it learned before, and is asked again with the next control interval.</summary>
    /// <param name="now">Now.</param>
    /// <param name="job">The training.</param>
    /// <param name="error">Why; nothing if it was cancelled.</param>
    public void OnTrainingFailed(DateTimeOffset now, ITrainingJob job, Exception? error)
    {
        if (job != _training)
        {
            return;
        }
        _training = null;
        if (error is not null)
        {
            Fault(new ServingException(
                $"A training of {_predictor.GetType().Name} for fleet '{_settings.Fleet}' failed; the forecast goes on with what was learned before, and it is tried again when one is due: {error.Message}", error));
        }
    }

    /// <summary>Has the training that is due run, one at a time.</summary>
    private void Train()
    {
        if (_stopping || _training is not null || _predictor is not ITrainable trainable)
        {
            return;
        }
        try
        {
            _training = trainable.TakeTrainingJob();
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from TakeTrainingJob.", e);
        }
        if (_training is not null)
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Train) { Training = _training });
        }
    }
}
