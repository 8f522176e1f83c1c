using System.Collections.Immutable;
using Microsoft.ML.OnnxRuntime;
using OrtElementType = Microsoft.ML.OnnxRuntime.Tensors.TensorElementType;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Opens ONNX models and reads what they declare; every failure names the file.</summary>
internal static class OnnxModel
{
    public static InferenceSession Open(OnnxRunnerOptions options, int threads)
    {
        var path = options.Path;
        if (Directory.Exists(path))
        {
            throw new ModelLoadException(path, "it is a folder; an ONNX file is expected.");
        }
        if (!File.Exists(path))
        {
            throw new ModelLoadException(path, "there is no such file.");
        }
        try
        {
            RequireProvider(options);
            using var session = new SessionOptions
            {
                IntraOpNumThreads = threads,
                InterOpNumThreads = 1,
                ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
                // An instance that waits for its next batch leaves its core to others.
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            };
            session.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            if (options.ExecutionProvider == OnnxExecutionProvider.Cuda)
            {
                session.AppendExecutionProvider_CUDA(options.DeviceId);
            }
            return new InferenceSession(path, session);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ModelLoadException(path, $"ONNX Runtime cannot load it: {e.Message}", e);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or TypeInitializationException)
        {
            throw new ModelLoadException(
                path, "the native ONNX Runtime is missing or does not fit: the host must reference the package Microsoft.ML.OnnxRuntime (CPU) or Microsoft.ML.OnnxRuntime.Gpu.", e);
        }
    }

    public static ModelDeclaration ReadDeclaration(InferenceSession session, string path)
    {
        var batch = int.MaxValue;
        var inputs = session.InputNames.Select(name => Read(name, session.InputMetadata[name], "input", path, ref batch)).ToImmutableArray();
        var inputBatch = batch;
        var outputs = session.OutputNames.Select(name => Read(name, session.OutputMetadata[name], "output", path, ref batch)).ToImmutableArray();
        if (inputs.IsEmpty)
        {
            throw new ModelLoadException(path, "it has no input.");
        }
        return new ModelDeclaration(path, inputs, outputs, inputBatch);
    }

    public static OrtElementType ToOrt(TensorElementType type) => type switch
    {
        TensorElementType.Float32 => OrtElementType.Float,
        TensorElementType.Float64 => OrtElementType.Double,
        TensorElementType.Float16 => OrtElementType.Float16,
        TensorElementType.BFloat16 => OrtElementType.BFloat16,
        TensorElementType.Int8 => OrtElementType.Int8,
        TensorElementType.Int16 => OrtElementType.Int16,
        TensorElementType.Int32 => OrtElementType.Int32,
        TensorElementType.Int64 => OrtElementType.Int64,
        TensorElementType.UInt8 => OrtElementType.UInt8,
        TensorElementType.UInt16 => OrtElementType.UInt16,
        TensorElementType.UInt32 => OrtElementType.UInt32,
        TensorElementType.UInt64 => OrtElementType.UInt64,
        TensorElementType.Bool => OrtElementType.Bool,
        _ => OrtElementType.String,
    };

    private static void RequireProvider(OnnxRunnerOptions options)
    {
        if (options.ExecutionProvider == OnnxExecutionProvider.Cuda)
        {
            var available = OrtEnv.Instance().GetAvailableProviders();
            if (!available.Contains("CUDAExecutionProvider"))
            {
                throw new ModelLoadException(
                    options.Path, $"CUDA was asked for, and this ONNX Runtime has only {string.Join(", ", available)}. The host must reference the package Microsoft.ML.OnnxRuntime.Gpu instead of Microsoft.ML.OnnxRuntime.");
            }
        }
    }

    private static DeclaredTensor Read(string name, NodeMetadata node, string what, string path, ref int batch)
    {
        if (node.OnnxValueType != OnnxValueType.ONNX_TYPE_TENSOR)
        {
            throw new ModelLoadException(path, $"{what} '{name}' is {node.OnnxValueType}; only tensors are served.");
        }
        var type = FromOrt(node.ElementDataType)
            ?? throw new ModelLoadException(path, $"{what} '{name}' has elements of type {node.ElementDataType}; accepted: {string.Join(", ", Enum.GetNames<TensorElementType>())}.");
        var shape = node.Dimensions;
        if (shape.Length == 0)
        {
            throw new ModelLoadException(path, $"{what} '{name}' is a scalar; its first dimension must be the batch.");
        }
        if (shape[0] > 0)
        {
            if (batch != int.MaxValue && batch != shape[0])
            {
                throw new ModelLoadException(path, $"{what} '{name}' has a first dimension of {shape[0]}, where another has {batch}; it must be the batch in all.");
            }
            batch = shape[0];
        }
        return new DeclaredTensor(
            new TensorSpec(name, type, [.. shape.Skip(1).Select(d => d < 0 ? -1L : d)]), [.. node.SymbolicDimensions.Skip(1).Select(n => n ?? "")]);
    }

    private static TensorElementType? FromOrt(OrtElementType type)
    {
        foreach (var own in Enum.GetValues<TensorElementType>())
        {
            if (ToOrt(own) == type)
            {
                return own;
            }
        }
        return null;
    }
}
