using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MArk.Serving.TorchSharp;

/// <summary>
/// Adam (Kingma and Ba, ICLR 2015, algorithm 1), operation for operation as TorchSharp's own. That one cannot be used: a number that it hands to libtorch is an object which nobody
/// holds while libtorch reads it, so that a garbage collection meanwhile frees it, and the step throws, or goes anywhere. Here each is held until the operation is over.
/// </summary>
internal sealed class Adam : IDisposable
{
    private const double MeanDecay = 0.9;
    private const double SquareDecay = 0.999;

    private readonly Parameter[] _parameters;
    private readonly double _learningRate;
    private readonly Tensor[] _means;       // of the gradients
    private readonly Tensor[] _squares;     // of the gradients, their mean
    private readonly Scalar _meanKept = MeanDecay.ToScalar();
    private readonly Scalar _meanTaken = (1 - MeanDecay).ToScalar();
    private readonly Scalar _squareKept = SquareDecay.ToScalar();
    private readonly Scalar _squareTaken = (1 - SquareDecay).ToScalar();
    private readonly Scalar _epsilon = 1e-8.ToScalar();
    private readonly Scalar _one = 1.ToScalar();
    private int _steps;

    public Adam(Parameter[] parameters, double learningRate)
    {
        _parameters = parameters;
        _learningRate = learningRate;
        _means = Array.ConvertAll(parameters, parameter => zeros_like(parameter).DetachFromDisposeScope());
        _squares = Array.ConvertAll(parameters, parameter => zeros_like(parameter).DetachFromDisposeScope());
    }

    /// <summary>Forgets the gradients.</summary>
    public void Clear()
    {
        foreach (var parameter in _parameters)
        {
            using var gradient = parameter.grad;
            gradient?.zero_();
        }
    }

    /// <summary>One step down the gradients.</summary>
    public void Step()
    {
        _steps++;
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        using var root = Math.Sqrt(1 - Math.Pow(SquareDecay, _steps)).ToScalar();
        using var length = (-(_learningRate / (1 - Math.Pow(MeanDecay, _steps)))).ToScalar();
        for (var i = 0; i < _parameters.Length; i++)
        {
            if (_parameters[i].grad is { } gradient)
            {
                _means[i].mul_(_meanKept).add_(gradient, _meanTaken);
                _squares[i].mul_(_squareKept).addcmul_(gradient, gradient, _squareTaken);
                var denominator = _squares[i].sqrt().div_(root).add_(_epsilon, _one);
                _parameters[i].addcdiv_(_means[i], denominator, length);
            }
        }
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[.. _means, .. _squares])
        {
            tensor.Dispose();
        }
        foreach (var scalar in (Scalar[])[_meanKept, _meanTaken, _squareKept, _squareTaken, _epsilon, _one])
        {
            scalar.Dispose();
        }
    }
}
