namespace MArk.Serving.Benchmarks.Models;

/// <summary>The models that are made here: their weights are random, but always the same.</summary>
internal static class SeededModels
{
    private const int Seed = 20190710;

    /// <summary>About 7 million weights: a lone request reads as many bytes as a batch of 32, so batching pays several times.</summary>
    public static byte[] Mlp()
    {
        long[] widths = [512, 2048, 2048, 1000];
        var graph = new OnnxGraph(Seed);
        var x = graph.Input("input", widths[0]);
        for (var layer = 1; layer < widths.Length; layer++)
        {
            x = Dense(graph, x, widths[layer - 1], widths[layer]);
            x = layer < widths.Length - 1 ? graph.Node("Relu", [x]) : x;
        }
        return graph.ToModel(x, widths[^1]);
    }

    /// <summary>A small residual network on 32 x 32 images: its weights are reused over every image, so that on a processor batching pays nothing.</summary>
    public static byte[] Conv()
    {
        var graph = new OnnxGraph(Seed);
        var x = graph.Input("input", 3, 32, 32);
        x = graph.Node("Relu", [Convolve(graph, x, 3, 16, kernel: 3, stride: 1)]);
        x = Residual(graph, x, 16, 16, stride: 1);
        x = Residual(graph, x, 16, 32, stride: 2);
        x = Residual(graph, x, 32, 64, stride: 2);
        x = graph.Node("Flatten", [graph.Node("GlobalAveragePool", [x])]);
        return graph.ToModel(Dense(graph, x, 64, 10), 10);
    }

    private static string Dense(OnnxGraph graph, string x, long from, long to) =>
        graph.Node("Gemm", [x, graph.Weights(from, to), graph.Zeros(to)]);

    private static string Convolve(OnnxGraph graph, string x, long from, long to, long kernel, long stride)
    {
        var pad = kernel / 2;
        return graph.Node("Conv", [x, graph.Weights(to, from, kernel, kernel), graph.Zeros(to)],
            ("kernel_shape", [kernel, kernel]), ("strides", [stride, stride]), ("pads", [pad, pad, pad, pad]));
    }

    private static string Residual(OnnxGraph graph, string x, long from, long to, long stride)
    {
        var y = graph.Node("Relu", [Convolve(graph, x, from, to, kernel: 3, stride)]);
        y = Convolve(graph, y, to, to, kernel: 3, stride: 1);
        var shortcut = from == to && stride == 1 ? x : Convolve(graph, x, from, to, kernel: 1, stride);
        return graph.Node("Relu", [graph.Node("Add", [y, shortcut])]);
    }
}
