using System.Numerics.Tensors;

namespace MArk.Serving.TorchSharp;

/// <summary>
/// A trained LSTM (Hochreiter and Schmidhuber 1997, with forget gates): one layer, and one output for each interval of the horizon. It is shown the changes of the rate from
/// interval to interval, scaled so that those it was trained on lie between -1 and 1, and answers with those to come. Never changed once made.
/// </summary>
/// <remarks>
/// The forward pass is written out here, so that a forecast calls nothing native, allocates nothing, and needs libtorch no more: a host may forecast by weights that another one trained.
/// </remarks>
internal sealed partial class LstmWeights
{
    private readonly float[] _byUnit;       // [unit][gate]: the recurrent weights transposed, so that they are added column by column

    private LstmWeights(LstmShape shape, double centre, double scale, float[] input, float[] recurrent, float[] bias, float[] output, float[] outputBias)
    {
        Shape = shape;
        Centre = centre;
        Scale = scale;
        Input = input;
        Recurrent = recurrent;
        Bias = bias;
        Output = output;
        OutputBias = outputBias;
        var (units, gates) = (shape.HiddenUnits, shape.Gates);
        _byUnit = new float[recurrent.Length];
        for (var gate = 0; gate < gates; gate++)
        {
            for (var unit = 0; unit < units; unit++)
            {
                _byUnit[unit * gates + gate] = recurrent[gate * units + unit];
            }
        }
    }

    public LstmShape Shape { get; }

    /// <summary>The change that is 0 to the network, requests per second.</summary>
    public double Centre { get; }

    /// <summary>How far from it a change is 1.</summary>
    public double Scale { get; }

    /// <summary>[gate]</summary>
    public float[] Input { get; }

    /// <summary>[gate][unit]</summary>
    public float[] Recurrent { get; }

    /// <summary>[gate]: libtorch's two added.</summary>
    public float[] Bias { get; }

    /// <summary>[step][unit]</summary>
    public float[] Output { get; }

    /// <summary>[step]</summary>
    public float[] OutputBias { get; }

    /// <summary>Weights; those of the parts are taken over.</summary>
    public static LstmWeights Create(LstmShape shape, double centre, double scale, float[] input, float[] recurrent, float[] bias, float[] output, float[] outputBias) =>
        new(shape, centre, scale, input, recurrent, bias, output, outputBias);

    /// <summary>
    /// Weights to begin with: of the layer at random, within one over the root of its units; of the outputs none, so that nothing changes until something was learned.
    /// A forget gate begins open (Jozefowicz, Zaremba and Sutskever 2015).
    /// </summary>
    public static LstmWeights Initial(LstmShape shape, double centre, double scale, Random random)
    {
        var (units, gates) = (shape.HiddenUnits, shape.Gates);
        var bound = 1 / Math.Sqrt(units);
        var bias = Draw(gates);
        bias.AsSpan(units, units).Fill(1);
        var outputBias = new float[shape.Horizon];
        Array.Fill(outputBias, (float)Math.Clamp(-centre / scale, -1, 1));
        return new(shape, centre, scale, Draw(gates), Draw(gates * units), bias, new float[shape.Horizon * units], outputBias);

        float[] Draw(int count)
        {
            var values = new float[count];
            foreach (ref var value in values.AsSpan())
            {
                value = (float)((2 * random.NextDouble() - 1) * bound);
            }
            return values;
        }
    }

    /// <summary>The same function of the changes, with weights for another scale of them.</summary>
    public LstmWeights InScale(double centre, double scale)
    {
        var (wider, shift) = (scale / Scale, (centre - Centre) / Scale);
        var (input, bias) = (new float[Input.Length], new float[Bias.Length]);
        for (var gate = 0; gate < input.Length; gate++)
        {
            input[gate] = (float)(Input[gate] * wider);
            bias[gate] = (float)(Bias[gate] + Input[gate] * shift);
        }
        var (output, outputBias) = (new float[Output.Length], new float[OutputBias.Length]);
        for (var i = 0; i < output.Length; i++)
        {
            output[i] = (float)(Output[i] / wider);
        }
        for (var step = 0; step < outputBias.Length; step++)
        {
            outputBias[step] = (float)((OutputBias[step] - shift) / wider);
        }
        return new(Shape, centre, scale, input, Recurrent, bias, output, outputBias);
    }

    public bool IsFinite => Array.TrueForAll([Input, Recurrent, Bias, Output, OutputBias], part => Array.TrueForAll(part, float.IsFinite));

    /// <summary>Forecasts.</summary>
    /// <param name="rates">The rates of the last intervals, one more than the window is long.</param>
    /// <param name="scratch">Memory of the caller's, for this shape.</param>
    /// <param name="path">The rates of the horizon's intervals; finite, at least 0.</param>
    public void Forecast(ReadOnlySpan<double> rates, LstmScratch scratch, Span<double> path)
    {
        var (units, gates) = (Shape.HiddenUnits, Shape.Gates);
        var hidden = scratch.Hidden.AsSpan();
        var cell = scratch.Cell.AsSpan();
        var sums = scratch.Gates.AsSpan();
        var enter = sums[..units];
        var forget = sums.Slice(units, units);
        var fresh = sums.Slice(2 * units, units);
        var leave = sums.Slice(3 * units, units);
        hidden.Clear();
        cell.Clear();
        for (var i = 1; i < rates.Length; i++)
        {
            // A change beyond those that were trained on counts as the largest of them, here as below.
            var seen = (float)Math.Clamp((rates[i] - rates[i - 1] - Centre) / Scale, -1, 1);
            TensorPrimitives.MultiplyAdd(Input, seen, Bias, sums);
            for (var unit = 0; unit < units; unit++)
            {
                TensorPrimitives.MultiplyAdd(_byUnit.AsSpan(unit * gates, gates), hidden[unit], sums, sums);
            }
            TensorPrimitives.Sigmoid(enter, enter);
            TensorPrimitives.Sigmoid(forget, forget);
            TensorPrimitives.Tanh(fresh, fresh);
            TensorPrimitives.Sigmoid(leave, leave);
            TensorPrimitives.Multiply(forget, cell, cell);
            TensorPrimitives.MultiplyAdd(enter, fresh, cell, cell);
            TensorPrimitives.Tanh(cell, hidden);
            TensorPrimitives.Multiply(hidden, leave, hidden);
        }
        var rate = rates[^1];
        for (var step = 0; step < path.Length; step++)
        {
            var change = TensorPrimitives.Dot(Output.AsSpan(step * units, units), hidden) + OutputBias[step];
            // Weights or rates so large that they overflow say nothing.
            var scaled = float.IsNaN(change) ? 0 : Math.Clamp(change, -1f, 1f);
            rate = Math.Clamp(rate + (scaled * Scale + Centre), double.MinValue, double.MaxValue);
            path[step] = Math.Max(0, rate);
        }
    }
}

/// <summary>What a forward pass writes into.</summary>
internal sealed class LstmScratch(LstmShape shape)
{
    public float[] Gates { get; } = new float[shape.Gates];

    public float[] Hidden { get; } = new float[shape.HiddenUnits];

    public float[] Cell { get; } = new float[shape.HiddenUnits];
}
