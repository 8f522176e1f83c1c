namespace MArk.Serving.TorchSharp;

/// <summary>What weights are for: those of another shape mean something else.</summary>
/// <param name="IntervalTicks">How long an interval is.</param>
/// <param name="HiddenUnits">The units of the layer.</param>
/// <param name="Window">The changes it is shown.</param>
/// <param name="Horizon">The changes it forecasts.</param>
internal readonly record struct LstmShape(long IntervalTicks, int HiddenUnits, int Window, int Horizon)
{
    /// <summary>Input, forget, cell and output gate, in libtorch's order.</summary>
    public const int GateCount = 4;

    public int Gates => GateCount * HiddenUnits;

    /// <summary>How many weights there are.</summary>
    public int Weights => Gates + Gates * HiddenUnits + Gates + Horizon * HiddenUnits + Horizon;

    public override string ToString() => FormattableString.Invariant(
        $"intervals of {TimeSpan.FromTicks(IntervalTicks).TotalSeconds} s, {HiddenUnits} hidden units, a window of {Window} and a horizon of {Horizon}");
}
