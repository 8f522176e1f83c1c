namespace MArk.Serving.Prediction;

/// <summary>The distances, in intervals, at which errors are kept: each of the first hour of minutes, then ever fewer; between them is interpolated.</summary>
internal sealed class ForecastSteps
{
    private const int Dense = 60;

    private readonly int[] _steps;

    public ForecastSteps(int horizon)
    {
        var steps = new List<int>();
        for (var step = 1; step < horizon; step = step < Dense ? step + 1 : Math.Max(step + 1, step * 11 / 10))
        {
            steps.Add(step);
        }
        steps.Add(horizon);
        _steps = [.. steps];
    }

    public int Count => _steps.Length;

    public int Last => _steps[^1];

    public int this[int i] => _steps[i];

    /// <summary>The last step at or below a distance, and how far on to the next the distance is, 0 to 1. Beyond the last it is the last.</summary>
    public (int Index, double Part) At(long distance)
    {
        if (distance >= Last)
        {
            return (Count - 1, 0);
        }
        if (distance <= Math.Min(Dense, Last))
        {
            return ((int)Math.Max(distance, 1) - 1, 0);
        }
        var i = Array.BinarySearch(_steps, (int)distance);
        return i >= 0 ? (i, 0) : (~i - 1, (distance - _steps[~i - 1]) / (double)(_steps[~i] - _steps[~i - 1]));
    }
}
