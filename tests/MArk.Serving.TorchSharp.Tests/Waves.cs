using System.Globalization;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>Rates that come again and again, and forecasters that see them.</summary>
internal static class Waves
{
    public const int Period = 20;

    public const int Horizon = 10;

    public static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    public static readonly DateTimeOffset Monday = DateTimeOffset.Parse("2026-01-05T00:00:00Z", CultureInfo.InvariantCulture);

    /// <summary>Small and quickly trained.</summary>
    public static readonly LstmOptions Small = new() { HiddenUnits = 8, Window = 20, Epochs = 2, LearningRate = 0.01, MinimumHistory = 200, RetrainAfter = 100 };

    public static double Rate(int minute) => 50 + 20 * Math.Sin(2 * Math.PI * minute / Period) + 8 * Math.Cos(4 * Math.PI * minute / Period);

    public static LstmForecaster New(LstmOptions? options = null) => new(Minute, Horizon, options ?? Small);

    public static LstmForecaster Observe(this LstmForecaster forecaster, int from, int count)
    {
        for (var minute = from; minute < from + count; minute++)
        {
            forecaster.Observe(Monday + minute * Minute, Rate(minute));
        }
        return forecaster;
    }

    /// <summary>What is forecast for the minutes from one on.</summary>
    public static double[] Ahead(this LstmForecaster forecaster, int minute, int horizon = Horizon)
    {
        var rates = new double[horizon];
        forecaster.Forecast(Monday + minute * Minute, rates);
        return rates;
    }

    public static double[] Same(double rate, int horizon = Horizon) => [.. Enumerable.Repeat(rate, horizon)];

    public static LstmForecaster Train(this LstmForecaster forecaster)
    {
        var job = forecaster.TakeTrainingJob();
        Assert.NotNull(job);
        job.Run(default);
        job.Apply();
        return forecaster;
    }

    public static byte[] Saved(this LstmForecaster forecaster)
    {
        using var stream = new MemoryStream();
        forecaster.Save(stream);
        return stream.ToArray();
    }

    /// <summary>Weights that do something, without libtorch.</summary>
    public static LstmWeights Drawn(LstmShape shape, int seed, double centre = 0.3, double scale = 8)
    {
        var random = new Random(seed);
        return LstmWeights.Create(
            shape, centre, scale, Draw(shape.Gates), Draw(shape.Gates * shape.HiddenUnits), Draw(shape.Gates), Draw(shape.Horizon * shape.HiddenUnits), Draw(shape.Horizon));

        float[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(0.6 * (2 * random.NextDouble() - 1)))];
    }

    public static LstmShape ShapeOf(LstmOptions options, int horizon = Horizon) => new(Minute.Ticks, options.HiddenUnits, options.Window, horizon);
}
