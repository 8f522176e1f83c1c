namespace MArk.Serving.Prediction;
internal static class Tune
{
    public static double Of(string name, double value) => Environment.GetEnvironmentVariable("T_" + name) is { } t ? double.Parse(t, System.Globalization.CultureInfo.InvariantCulture) : value;
}
