using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Prediction;

namespace MArk.Serving.Engine;

/// <summary>
/// Keeps a model's arrival history in a store: loads it once, saves it now and then. Whatever the store does is reported and holds up nothing but the start, and that only for
/// a while. Nothing is saved before the load has succeeded, so that what could not be read is not overwritten. Thread-safe.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore without a wait handle holds nothing, and a call of the store that was left behind gives it back later.")]
internal sealed class HistoryKeeper
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly IArrivalHistoryStore _store;
    private readonly string _model;
    private readonly DateTimeOffset _countedFrom;
    private readonly TimeProvider _time;
    private readonly Action<ServingException> _report;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _calling = new(1);       // one call of the store at a time
    private ArrivalHistory _history = new();                // under the lock, as what follows
    private bool _isLoaded;
    private bool _isChanged;

    /// <summary>A keeper that has loaded nothing yet.</summary>
    /// <param name="store">Where the history is kept.</param>
    /// <param name="model">The model.</param>
    /// <param name="countedFrom">From when on slots are counted by this host: what is stored may not reach further.</param>
    /// <param name="time">The time of the time-outs.</param>
    /// <param name="report">Takes what goes wrong.</param>
    public HistoryKeeper(IArrivalHistoryStore store, string model, DateTimeOffset countedFrom, TimeProvider time, Action<ServingException> report)
    {
        _store = store;
        _model = model;
        _countedFrom = countedFrom;
        _time = time;
        _report = report;
    }

    /// <summary>Loads what is stored, and waits for it for some seconds at most.</summary>
    /// <returns>What is known of the time before this host counted, ascending; empty if nothing is.</returns>
    public async Task<IReadOnlyList<ArrivalSample>> LoadAsync(CancellationToken cancellationToken)
    {
        if (!await EndsInTimeAsync(save: false, cancellationToken).ConfigureAwait(false))
        {
            Report($"was not loaded within {CallTimeout}, and {_store.GetType().Name} does not heed its token; the forecast starts without it.");
        }
        lock (_gate)
        {
            return [.. _history.Samples(_countedFrom)];
        }
    }

    /// <summary>Adds a finished slot.</summary>
    public void Add(in ArrivalSample sample)
    {
        try
        {
            lock (_gate)
            {
                _history.Add(sample);
                _isChanged = true;
            }
        }
        catch (InvalidArrivalSampleException e)
        {
            Report($"leaves a slot out: {e.Message}", e);
        }
    }

    /// <summary>Saves what was added since the last time, unless a call of the store is under way still, which is said.</summary>
    public async Task SaveAsync()
    {
        // Off the operator's loop: a store may do its work on the caller's thread.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        if (_calling.CurrentCount == 0)
        {
            Report($"is not saved: an earlier call of {_store.GetType().Name} has not returned.");
            return;
        }
        using var giveUp = new CancellationTokenSource(CallTimeout, _time);
        await CallAsync(save: true, giveUp.Token).ConfigureAwait(false);
    }

    /// <summary>Saves for the last time, and waits for it for some seconds at most.</summary>
    public async Task StopAsync()
    {
        if (!await EndsInTimeAsync(save: true, CancellationToken.None).ConfigureAwait(false))
        {
            Report($"was not saved at the stop within {CallTimeout}, and {_store.GetType().Name} does not heed its token; it is left behind.");
        }
    }

    /// <returns>Whether the call has ended; otherwise it is left behind, since the store does not heed its token.</returns>
    private async Task<bool> EndsInTimeAsync(bool save, CancellationToken cancellationToken)
    {
        // Not disposed: a store that does not heed the token may look at it later.
        var giveUp = new CancellationTokenSource(CallTimeout, _time);
        var call = Task.Run(() => CallAsync(save, giveUp.Token), CancellationToken.None);
        return await call.EndsWithinAsync(CallTimeout + Grace, _time, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Loads, if that has not succeeded yet, then saves, if that is asked for. Never throws.</summary>
    private async Task CallAsync(bool save, CancellationToken cancellationToken)
    {
        try
        {
            // Where none is under way the store is asked, however late it is.
            if (!_calling.Wait(0, CancellationToken.None))
            {
                await _calling.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException e)
        {
            Report($"was not saved: an earlier call of {_store.GetType().Name} has not returned.", e);
            return;
        }
        try
        {
            if ((_isLoaded || await TryLoadAsync(cancellationToken).ConfigureAwait(false)) && save)
            {
                await SaveOnceAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _calling.Release();
        }
    }

    private async Task<bool> TryLoadAsync(CancellationToken cancellationToken)
    {
        var stored = new ArrivalHistory();
        string? unusable = null;
        Exception? cause = null;
        try
        {
            if (await _store.LoadAsync(_model, cancellationToken).ConfigureAwait(false) is { } bytes)
            {
                try
                {
                    stored = ArrivalHistory.FromBytes(bytes.Span);
                    var end = stored.End;
                    if (stored.CutAt(_countedFrom))
                    {
                        unusable = FormattableString.Invariant($"reaches until {end:O}, but the clock says {_countedFrom:O}: it was, or is, wrong. What is later is left out");
                    }
                }
                catch (ArrivalHistoryFormatException e)
                {
                    unusable = $"cannot be read, and begins anew: {e.Message.TrimEnd('.')}";
                    cause = e;
                }
            }
        }
        catch (Exception e)
        {
            Report($"could not be loaded from {_store.GetType().Name}; it is tried again before anything is saved: {e.Message}", e);
            return false;
        }
        var isSetAside = unusable is null || await TrySetAsideAsync(unusable, cause, cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            stored.Append(_history);
            _history = stored;
            _isLoaded = isSetAside;
        }
        return isSetAside;
    }

    private async Task<bool> TrySetAsideAsync(string unusable, Exception? cause, CancellationToken cancellationToken)
    {
        try
        {
            var path = await _store.SetAsideAsync(_model, cancellationToken).ConfigureAwait(false);
            _report(new ArrivalHistoryException(_model, path is null ? $"{unusable}. It is not there any more." : $"{unusable}. It is kept as '{path}'.", path, cause));
            return true;
        }
        catch (Exception e)
        {
            Report($"{unusable}. {_store.GetType().Name} could not set it aside; until it can, nothing is saved: {e.Message}", e);
            return false;
        }
    }

    private async Task SaveOnceAsync(CancellationToken cancellationToken)
    {
        byte[] bytes;
        lock (_gate)
        {
            if (!_isChanged)
            {
                return;
            }
            bytes = _history.ToBytes();
            _isChanged = false;
        }
        try
        {
            await _store.SaveAsync(_model, bytes, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                _isChanged = true;
            }
            Report($"could not be saved to {_store.GetType().Name}; it is tried again with the next save: {e.Message}", e);
        }
    }

    private void Report(string message, Exception? cause = null) => _report(new ArrivalHistoryException(_model, message, innerException: cause));
}
