using System.Text.Json;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Lambda;

/// <summary>One function: calls it, judges what comes back, and learns from it what the next call takes and costs.</summary>
internal sealed class LambdaFunction : IDisposable
{
    private const int RefusedAsBusy = 429;
    private const int Unavailable = 503;

    private readonly LambdaSpilloverOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LambdaClient _client;
    private readonly Lock _gate = new();
    private readonly WarmEnvironments _environments;
    private readonly ThrottlePause _pause;
    private readonly LearnedCalls _learned;

    public LambdaFunction(LambdaSpilloverOptions options, TimeSpan slo, Random random, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        _client = new LambdaClient(options);
        _environments = new WarmEnvironments(options.IdleLifetime, time);
        _pause = new ThrottlePause(random, time);
        _learned = new LearnedCalls(options, slo, time);
    }

    /// <summary>For how long it is left alone.</summary>
    public TimeSpan Pause
    {
        get
        {
            lock (_gate)
            {
                return _pause.Remaining;
            }
        }
    }

    /// <summary>How many environments are warm and have nothing to do.</summary>
    public int WarmEnvironments
    {
        get
        {
            lock (_gate)
            {
                return _environments.Idle;
            }
        }
    }

    public int BestSize(int limit)
    {
        lock (_gate)
        {
            return _learned.BestSize(limit);
        }
    }

    /// <summary>A quote for so many free calls, where so many requests have none yet.</summary>
    public SpilloverQuote Quote(int freeCalls, int waiting, TimeSpan validFor)
    {
        lock (_gate)
        {
            var pause = _pause.Remaining;
            // Where more requests come than there are calls, they share them.
            var size = _learned.BestSize(int.MaxValue);
            var free = pause > TimeSpan.Zero ? 0 : (int)Math.Clamp((long)freeCalls * size - waiting, 0, int.MaxValue);
            return new SpilloverQuote
            {
                Warm = _learned.WarmOf(size),
                Cold = _learned.Cold,
                FreeConcurrency = free,
                WarmConcurrency = (int)Math.Min(free, (long)_environments.Idle * size),
                PricePerRequest = _learned.PricePerRequest,
                ValidFor = pause > TimeSpan.Zero ? pause : validFor,
            };
        }
    }

    /// <summary>Forgets what calls took and cost so far, but for starts.</summary>
    public void Restart()
    {
        lock (_gate)
        {
            _learned.Restart();
        }
    }

    /// <summary>Sends an event, a second time if Lambda failed and there is time.</summary>
    /// <param name="payload">The event; not changed until the call ends.</param>
    /// <param name="size">The requests it carries; 0 for one that only asks how the function is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The answer, with a status of success; to be disposed of.</returns>
    /// <exception cref="LambdaSpilloverException">There is none.</exception>
    public async ValueTask<LambdaAnswer> CallAsync(ReadOnlyMemory<byte> payload, int size, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        try
        {
            return await TryAsync(payload, size, cancellationToken).ConfigureAwait(false);
        }
        catch (LambdaSpilloverException e) when (e.IsTransient && LeavesRoom(size, start))
        {
            LambdaLog.TriedAgain(_logger, _options.FunctionName, e);
            return await TryAsync(payload, size, cancellationToken).ConfigureAwait(false);
        }
    }

    public LambdaSpilloverException Failure(LambdaFailure failure, string message, Exception? inner = null) => new(_options.FunctionName, failure, message, inner);

    public void Dispose() => _client.Dispose();

    private bool LeavesRoom(int size, long start)
    {
        lock (_gate)
        {
            return _learned.LeavesRoom(size, _time.GetElapsedTime(start));
        }
    }

    private async ValueTask<LambdaAnswer> TryAsync(ReadOnlyMemory<byte> payload, int size, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_options.CallTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        bool wasWarm;
        lock (_gate)
        {
            wasWarm = _environments.TryTake();
        }
        var start = _time.GetTimestamp();
        // One that was never reached is as it was.
        var isLeft = false;
        try
        {
            isLeft = wasWarm;
            using var reply = await _client.InvokeAsync(payload, either.Token).ConfigureAwait(false);
            var elapsed = _time.GetElapsedTime(start);
            var isCold = reply.Report?.IsCold ?? !wasWarm;
            // A ping that met a warm one where none was known of may have met one that another has just left: it is not counted twice.
            isLeft = wasWarm || isCold || size > 0;
            lock (_gate)
            {
                _learned.OnPaid(elapsed, reply.Report);
            }
            var answer = Judge(reply, out var hasEnded);
            isLeft &= !hasEnded;
            if (answer.Failure is { } failure)
            {
                throw failure;
            }
            lock (_gate)
            {
                _pause.OnAnswered(start);
                _learned.OnAnswered(size, elapsed, isCold, reply.Report);
            }
            return answer.Answer!;
        }
        catch (LambdaSpilloverException e) when (e.Failure is LambdaFailure.Throttled or LambdaFailure.Busy)
        {
            OnThrottled(start, e);
            throw;
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            isLeft = false;
            throw Failure(LambdaFailure.TimedOut, $"it did not answer within CallTimeout, {_options.CallTimeout}.", e);
        }
        finally
        {
            if (isLeft)
            {
                lock (_gate)
                {
                    _environments.Return();
                }
            }
        }
    }

    private void OnThrottled(long start, LambdaSpilloverException error)
    {
        TimeSpan? pause;
        lock (_gate)
        {
            pause = _pause.OnThrottled(start, error.RetryAfter);
        }
        if (pause is { } length)
        {
            LambdaLog.Throttled(_logger, _options.FunctionName, length);
        }
    }

    private (LambdaAnswer? Answer, LambdaSpilloverException? Failure) Judge(LambdaReply reply, out bool hasEnded)
    {
        hasEnded = false;
        LambdaAnswer answer;
        try
        {
            answer = LambdaAnswer.Read(reply.Payload);
        }
        catch (JsonException e)
        {
            return (null, reply.FunctionError is { } kind
                ? Failure(LambdaFailure.HandlerFailed, $"it failed ({kind}), and said nothing of it.", e)
                : Failure(LambdaFailure.BadAnswer, $"its answer is no HTTP response in JSON: {e.Message}", e));
        }
        if (reply.FunctionError is null && answer.Status is >= 200 and < 300)
        {
            return (answer, null);
        }
        using (answer)
        {
            if (reply.FunctionError is not null || (answer.Status is null && answer.ErrorMessage is not null))
            {
                hasEnded = IsOfEnvironment(answer);
                return (null, Failure(
                    hasEnded ? LambdaFailure.EnvironmentFailed : LambdaFailure.HandlerFailed, $"it failed: {answer.ErrorType}: {DataTypes.Shortened(answer.ErrorMessage ?? "", 512)}"));
            }
            if (answer.Status is null)
            {
                return (null, Failure(LambdaFailure.BadAnswer, "its answer has no statusCode; accepted: an HTTP response in JSON."));
            }
            return (null, OfStatus(answer, answer.Status.Value));
        }
    }

    private LambdaSpilloverException OfStatus(LambdaAnswer answer, int status)
    {
        var failure = status switch
        {
            400 or 413 or 422 => LambdaFailure.RequestRefused,
            401 or 403 => LambdaFailure.AccessDenied,
            404 => LambdaFailure.NoSuchModel,
            RefusedAsBusy or Unavailable => LambdaFailure.Busy,
            _ => LambdaFailure.BadAnswer,
        };
        return new LambdaSpilloverException(_options.FunctionName, failure, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"its server answered {status}: {answer.BodyText()}"))
        {
            RetryAfter = answer.RetryAfter,
        };
    }

    /// <summary>Whether the environment came to an end, rather than that the function's code raised an error.</summary>
    private static bool IsOfEnvironment(LambdaAnswer answer)
    {
        var (type, message) = (answer.ErrorType ?? "", answer.ErrorMessage ?? "");
        return type.StartsWith("Runtime.", StringComparison.Ordinal) || type.StartsWith("Sandbox.", StringComparison.Ordinal) || type.StartsWith("Extension.", StringComparison.Ordinal)
            // Lambda names no type where time ran out; emulators say it in other words.
            || message.Contains("Task timed out after", StringComparison.Ordinal) || message.Contains("Lambda timeout", StringComparison.Ordinal)
            || message.Contains("Runtime exited", StringComparison.Ordinal);
    }
}
