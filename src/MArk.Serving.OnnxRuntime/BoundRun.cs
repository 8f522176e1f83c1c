using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>A batch shape that is bound to memory of ours once, and runs in place ever after.</summary>
internal sealed class BoundRun : IDisposable
{
    private readonly OrtIoBinding? _binding;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly OrtValue[] _inputs;
    private readonly OrtValue[] _outputs;

    /// <param name="session">The session.</param>
    /// <param name="inputs">The inputs, with room for the batch.</param>
    /// <param name="outputs">The outputs, with room for the batch.</param>
    /// <param name="rows">The batch size.</param>
    /// <param name="isOnDevice">Whether the session computes in another memory than the processor's.</param>
    public BoundRun(InferenceSession session, InputTensor[] inputs, OutputTensor[] outputs, int rows, bool isOnDevice)
    {
        _inputNames = Array.ConvertAll(inputs, input => input.Plan.Spec.Name);
        _outputNames = Array.ConvertAll(outputs, output => output.Plan.Spec.Name);
        _inputs = Array.ConvertAll(inputs, input => input.Buffer.ToOrt(rows));
        _outputs = Array.ConvertAll(outputs, output => output.Buffer.ToOrt(rows));
        // A binding copies inputs to a device when they are bound, not when it runs: there it would run on what it saw first.
        if (!isOnDevice)
        {
            _binding = session.CreateIoBinding();
            for (var i = 0; i < _inputs.Length; i++)
            {
                _binding.BindInput(_inputNames[i], _inputs[i]);
            }
            for (var i = 0; i < _outputs.Length; i++)
            {
                _binding.BindOutput(_outputNames[i], _outputs[i]);
            }
        }
    }

    public void Run(InferenceSession session, RunOptions options)
    {
        if (_binding is not null)
        {
            session.RunWithBinding(options, _binding);
        }
        else
        {
            session.Run(options, _inputNames, _inputs, _outputNames, _outputs);
        }
    }

    public void Dispose()
    {
        _binding?.Dispose();
        foreach (var value in _inputs)
        {
            value.Dispose();
        }
        foreach (var value in _outputs)
        {
            value.Dispose();
        }
    }
}
