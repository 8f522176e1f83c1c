namespace MArk.Serving.TorchSharp;

/// <summary>The size of an LSTM that forecasts a workload, and how it is trained.</summary>
public sealed record LstmOptions
{
    /// <summary>The most intervals that are kept of what was observed: two weeks of minutes. They are what is trained on.</summary>
    public const int KeptIntervals = 14 * 1440;

    internal const int MaxHiddenUnits = 512;
    private const int MaxEpochs = 10_000;
    private const int MaxThreads = 1024;

    /// <summary>How many units the LSTM's layer has; 1 to 512, default 32, as in MArk's published code.</summary>
    public int HiddenUnits
    {
        get;
        init => field = InRange(value, 1, MaxHiddenUnits, "The number of hidden units");
    } = 32;

    /// <summary>From the changes of how many last intervals is forecast; 1 to 1440, default 60.</summary>
    public int Window
    {
        get;
        init => field = InRange(value, 1, WorkloadForecast.MaxHorizon, "The window");
    } = 60;

    /// <summary>
    /// How often training goes over the history at most; 1 to 10000, default 20. Each time it goes over every window of it, or over 4096 drawn at random where there are
    /// more, so that a training's length is bounded; it ends early when the newest windows, which are held out, have not been forecast better for five times.
    /// </summary>
    public int Epochs
    {
        get;
        init => field = InRange(value, 1, MaxEpochs, "The number of epochs");
    } = 20;

    /// <summary>Adam's learning rate; more than 0, at most 1, default 0.003.</summary>
    public double LearningRate
    {
        get;
        init => field = value is > 0 and <= 1
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "The learning rate must be more than 0 and at most 1.");
    } = 0.003;

    /// <summary>
    /// How many intervals must have been observed before the first training; 1 to <see cref="KeptIntervals"/>, default 360. It also waits until they have windows enough that
    /// no gap divides.
    /// </summary>
    public int MinimumHistory
    {
        get;
        init => field = InRange(value, 1, KeptIntervals, "The minimum history");
    } = 360;

    /// <summary>After how many newly observed intervals it is trained again, from what it learned before; 1 to <see cref="KeptIntervals"/>, default 360.</summary>
    public int RetrainAfter
    {
        get;
        init => field = InRange(value, 1, KeptIntervals, "The number of intervals until it is trained again");
    } = 360;

    /// <summary>
    /// How many threads libtorch computes a training on; 1 to 1024, default 1, since the other cores serve. libtorch has one such number for the process: it is set
    /// for the training and set back after it. The same history and seed give the same weights only for the same number.
    /// </summary>
    public int Threads
    {
        get;
        init => field = InRange(value, 1, MaxThreads, "The number of threads");
    } = 1;

    /// <summary>What weights begin with and the order of windows are drawn by; default 1.</summary>
    public int Seed { get; init; } = 1;

    private static int InRange(int value, int least, int most, string name) => value >= least && value <= most
        ? value
        : throw new ArgumentOutOfRangeException(nameof(value), value, FormattableString.Invariant($"{name} must be {least} to {most}."));
}
