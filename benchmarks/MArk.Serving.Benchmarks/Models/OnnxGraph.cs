using System.Runtime.InteropServices;

namespace MArk.Serving.Benchmarks.Models;

/// <summary>Builds an ONNX model of one input and one output in memory, with seeded weights; its batch dimension is open.</summary>
/// <remarks>The field numbers are those of onnx.proto.</remarks>
internal sealed class OnnxGraph(int seed)
{
    private const int Float32 = 1;
    private const int IrVersion = 8;
    private const int Opset = 13;

    private readonly Random _random = new(seed);
    private readonly ProtobufWriter _graph = new();
    private int _names;

    public string Input(string name, params long[] itemShape)
    {
        _graph.Message(11, ValueInfo(name, itemShape));
        return name;
    }

    /// <summary>Weights of He's initialization, so that the activations stay in range however deep the model is.</summary>
    public string Weights(params long[] shape)
    {
        var fanIn = shape.Length == 2 ? shape[0] : shape.Skip(1).Aggregate(1L, (a, b) => a * b);
        var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        var scale = Math.Sqrt(2.0 / fanIn);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(scale * NextGaussian());
        }
        return Initializer(values, shape);
    }

    public string Zeros(long length) => Initializer(new float[length], length);

    public string Node(string operation, string[] inputs, params (string Name, long[] Values)[] attributes)
    {
        var output = NewName();
        var node = new ProtobufWriter();
        foreach (var input in inputs)
        {
            node.Text(1, input);
        }
        node.Text(2, output).Text(4, operation);
        foreach (var (name, values) in attributes)
        {
            node.Message(5, Attribute(name, values));
        }
        _graph.Message(1, node);
        return output;
    }

    public byte[] ToModel(string output, params long[] itemShape)
    {
        _graph.Text(2, "benchmark").Message(12, ValueInfo(output, itemShape));
        return new ProtobufWriter()
            .Integer(1, IrVersion)
            .Message(8, new ProtobufWriter().Text(1, "").Integer(2, Opset))
            .Message(7, _graph)
            .ToArray();
    }

    private static ProtobufWriter Attribute(string name, long[] values)
    {
        const int Ints = 7;
        var attribute = new ProtobufWriter().Text(1, name).Integer(20, Ints);
        foreach (var value in values)
        {
            attribute.Integer(8, value);
        }
        return attribute;
    }

    private static ProtobufWriter ValueInfo(string name, long[] itemShape)
    {
        var shape = new ProtobufWriter().Message(1, new ProtobufWriter().Text(2, "batch"));
        foreach (var dimension in itemShape)
        {
            shape.Message(1, new ProtobufWriter().Integer(1, dimension));
        }
        var tensor = new ProtobufWriter().Integer(1, Float32).Message(2, shape);
        return new ProtobufWriter().Text(1, name).Message(2, new ProtobufWriter().Message(1, tensor));
    }

    private string Initializer(float[] values, params long[] shape)
    {
        var name = NewName();
        var tensor = new ProtobufWriter();
        foreach (var dimension in shape)
        {
            tensor.Integer(1, dimension);
        }
        _graph.Message(5, tensor.Integer(2, Float32).Text(8, name).Bytes(9, MemoryMarshal.AsBytes(values.AsSpan())));
        return name;
    }

    private string NewName() => $"t{_names++}";

    private double NextGaussian() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
