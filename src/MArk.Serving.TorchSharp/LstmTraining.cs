using System.Runtime.InteropServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MArk.Serving.TorchSharp;

/// <summary>One training on a snapshot of the history, from the weights of then or from none. It shares nothing with its forecaster that changes.</summary>
internal sealed class LstmTraining(LstmForecaster forecaster, LstmOptions options, LstmShape shape, TrainingWindows windows, LstmWeights? from, int seed) : ITrainingJob
{
    private const int BatchSize = 64;
    private const int MostWindows = 4096;       // of an epoch
    private const int Patience = 5;             // epochs that have not become better
    private const double LongestStep = 1;       // of the gradient

    private LstmWeights? _learned;

    public void Run(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            using var stay = TorchRuntime.Enter(options.Threads, cancellationToken);
            _learned = Train(cancellationToken);
        }
        catch (ExternalException e)
        {
            throw new ServingException($"libtorch failed while the LSTM was trained: {e.Message}", e);
        }
        forecaster.OnLearned(_learned);
    }

    public void Apply() => forecaster.Take(_learned ?? throw new InvalidOperationException("The training has not ended well; there is nothing to apply."));

    private LstmWeights Train(CancellationToken cancellationToken)
    {
        // Weights and order come of a generator of its own, not of libtorch's, which is the process's.
        var random = new Random(seed);
        var best = Begin(random);
        using var scope = NewDisposeScope();
        using var network = new Network(best);
        using var adam = new Adam(network.Parameters, options.LearningRate);
        var (shown, wanted) = Tensors(windows.HeldOut);
        var least = network.Judge(shown, wanted);
        var places = windows.Training.ToArray();
        for (var (epoch, worse) = (0, 0); epoch < options.Epochs && worse < Patience; epoch++)
        {
            random.Shuffle(places);
            for (var at = 0; at < Math.Min(places.Length, MostWindows); at += BatchSize)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var batch = NewDisposeScope();
                var (input, target) = Tensors(places.AsSpan(at, Math.Min(BatchSize, places.Length - at)));
                adam.Clear();
                network.Loss(input, target).backward();
                nn.utils.clip_grad_norm_(network.Parameters, LongestStep);
                adam.Step();
            }
            var loss = network.Judge(shown, wanted);
            worse = loss < least ? 0 : worse + 1;
            if (loss < least && network.Read(shape, windows.Centre, windows.Scale) is { IsFinite: true } learned)
            {
                (best, least) = (learned, loss);
            }
        }
        return best;
    }

    private LstmWeights Begin(Random random)
    {
        var drawn = LstmWeights.Initial(shape, windows.Centre, windows.Scale, random);
        return from?.InScale(windows.Centre, windows.Scale) is { IsFinite: true } before ? before : drawn;
    }

    private (Tensor Shown, Tensor Wanted) Tensors(ReadOnlySpan<int> places)
    {
        var (shown, wanted) = windows.Batch(places);
        return (OnCpu(shown, shape.Window, places.Length, 1), OnCpu(wanted, places.Length, shape.Horizon));
    }

    private static Tensor OnCpu(float[] values, params ReadOnlySpan<long> dimensions) => tensor(values, dimensions, device: CPU);

    /// <summary>The network as libtorch has it.</summary>
    private sealed class Network : IDisposable
    {
        private readonly LSTM _lstm;
        private readonly Linear _output;
        private readonly Dictionary<string, Parameter> _layer;

        public Network(LstmWeights weights)
        {
            var shape = weights.Shape;
            // Of this type and on this device whatever the host has made libtorch's default.
            _lstm = nn.LSTM(1, shape.HiddenUnits, device: CPU, dtype: ScalarType.Float32);
            _output = nn.Linear(shape.HiddenUnits, shape.Horizon, device: CPU, dtype: ScalarType.Float32);
            _layer = _lstm.named_parameters().ToDictionary(p => p.name, p => p.parameter);
            Parameters = [.. _layer.Values, .. _output.parameters()];
            using var scope = NewDisposeScope();
            using var frozen = no_grad();
            _layer["weight_ih_l0"].copy_(OnCpu(weights.Input, shape.Gates, 1));
            _layer["weight_hh_l0"].copy_(OnCpu(weights.Recurrent, shape.Gates, shape.HiddenUnits));
            _layer["bias_ih_l0"].copy_(OnCpu(weights.Bias, shape.Gates));
            _layer["bias_hh_l0"].zero_();
            _output.weight.copy_(OnCpu(weights.Output, shape.Horizon, shape.HiddenUnits));
            _output.bias!.copy_(OnCpu(weights.OutputBias, shape.Horizon));
        }

        public Parameter[] Parameters { get; }

        /// <summary>The mean squared error.</summary>
        public Tensor Loss(Tensor shown, Tensor wanted)
        {
            var (_, hidden, _) = _lstm.call(shown);
            return nn.functional.mse_loss(_output.call(hidden.squeeze(0)), wanted);
        }

        public float Judge(Tensor shown, Tensor wanted)
        {
            // Not under no_grad: libtorch 2.10.0 then computes an LSTM by oneDNN, which with few units answers something else.
            using var scope = NewDisposeScope();
            return Loss(shown, wanted).item<float>();
        }

        public LstmWeights Read(LstmShape shape, double centre, double scale)
        {
            var bias = Values(_layer["bias_ih_l0"]);
            var second = Values(_layer["bias_hh_l0"]);
            for (var gate = 0; gate < bias.Length; gate++)
            {
                bias[gate] += second[gate];
            }
            return LstmWeights.Create(
                shape, centre, scale, Values(_layer["weight_ih_l0"]), Values(_layer["weight_hh_l0"]), bias, Values(_output.weight), Values(_output.bias!));
        }

        public void Dispose()
        {
            _lstm.Dispose();
            _output.Dispose();
        }

        private static float[] Values(Tensor parameter)
        {
            using var scope = NewDisposeScope();
            return parameter.detach().data<float>().ToArray();
        }
    }
}
