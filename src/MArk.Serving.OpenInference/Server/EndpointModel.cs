using MArk.Serving.Diagnostics;
using MArk.Serving.Hosting;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Server;

/// <summary>A model as clients of the protocol see it.</summary>
internal abstract class EndpointModel
{
    protected EndpointModel(string name, string version) => (Name, Version) = (name, version);

    public string Name { get; }

    public string Version { get; }

    public EndpointStatistics Statistics { get; } = new();

    public abstract bool IsReady { get; }

    public abstract IModelMonitor Monitor { get; }

    /// <summary>The tensors that clients see.</summary>
    /// <exception cref="InferenceRejectedException">They are not known yet.</exception>
    public abstract ModelSignature Signature { get; }

    /// <summary>Answers a request, whose tensors have the batch as their first dimension: each of its items is a request of the model's own.</summary>
    /// <returns>The answer, to be disposed of: all outputs, or those that the request names.</returns>
    /// <exception cref="WireFormatException">The request does not fit the model.</exception>
    /// <exception cref="ServingException">What became of an item, of the first that has no answer.</exception>
    public abstract ValueTask<InferMessage> InferAsync(InferMessage request, WireLimits limits, CancellationToken cancellationToken);
}

/// <summary>A model as clients of the protocol see it, and how its types are made of tensors.</summary>
/// <param name="model">The model.</param>
/// <param name="createCodec">Makes the mapping: one for each version of the model.</param>
/// <param name="version">The version that clients see.</param>
internal sealed class EndpointModel<TIn, TOut>(IServedModel<TIn, TOut> model, Func<IEndpointCodec<TIn, TOut>> createCodec, string version) : EndpointModel(model.Name, version)
{
    private readonly Lock _gate = new();
    private volatile Bound? _bound;

    public override bool IsReady => model.IsReady;

    public override IModelMonitor Monitor => model.Monitor;

    public override ModelSignature Signature => Bind().Signature;

    /// <summary>The present version's tensors, and what maps them. A request keeps to what it began with.</summary>
    private Bound Bind()
    {
        var (bound, declared) = (_bound, model.Signature);
        if (bound is not null && (bound.IsOfCodec || ReferenceEquals(bound.Signature, declared)))
        {
            return bound;
        }
        var codec = createCodec();
        var signature = codec.Signature ?? declared;
        if (signature is null)
        {
            throw model.IsReady
                ? new ServingException($"Model '{Name}' declares no tensors, and what maps its types does not either: call Map with an {nameof(IEndpointCodec<TIn, TOut>)} that has a Signature.")
                : new InferenceRejectedException(Name, RejectionReason.NoCapacity);
        }
        lock (_gate)
        {
            codec.Bind(signature);
            return _bound = new Bound(signature, codec, codec.Signature is not null);
        }
    }

    public override async ValueTask<InferMessage> InferAsync(InferMessage request, WireLimits limits, CancellationToken cancellationToken)
    {
        var bound = Bind();
        var (signature, codec, _) = bound;
        var requested = Requested(request, signature);
        RequireKnown(request, signature);
        var tensors = TensorMatch.Order(request.Tensors, signature.Inputs, "inputs", out var items);
        if (items < 1 || items > limits.MaxItems)
        {
            throw new WireFormatException("inputs[0].shape", $"its batch is {items}; accepted: 1 to {limits.MaxItems} items.");
        }
        var results = await model.Client.TryInferManyAsync(Read(codec, tensors, signature, items), OptionsOf(request), cancellationToken).ConfigureAwait(false);
        foreach (ref readonly var result in results.AsSpan())
        {
            if (!result.Succeeded)
            {
                throw result.Error ?? (Exception)new OperationCanceledException(cancellationToken);
            }
        }
        return Write(bound, results, request, requested);
    }

    private static InferenceOptions OptionsOf(InferMessage request) =>
        new() { Timeout = request.Timeout, Priority = request.Priority, Key = request.Key, Tenant = request.Tenant };

    private static void RequireKnown(InferMessage request, ModelSignature signature)
    {
        for (var i = 0; i < request.Tensors.Count; i++)
        {
            if (!signature.Inputs.Any(spec => spec.Name == request.Tensors[i].Name))
            {
                throw new WireFormatException($"inputs[{i}].name", $"the model has no input '{DataTypes.Shortened(request.Tensors[i].Name)}'; it declares {TensorMatch.List(signature.Inputs)}.");
            }
        }
    }

    /// <summary>The outputs that are asked for, by their place in the signature.</summary>
    private static int[] Requested(InferMessage request, ModelSignature signature)
    {
        if (request.RequestedOutputs.Count == 0)
        {
            return [.. Enumerable.Range(0, signature.Outputs.Length)];
        }
        var places = new int[request.RequestedOutputs.Count];
        for (var i = 0; i < places.Length; i++)
        {
            var name = request.RequestedOutputs[i].Name;
            places[i] = -1;
            for (var o = 0; o < signature.Outputs.Length; o++)
            {
                places[i] = signature.Outputs[o].Name == name ? o : places[i];
            }
            if (places[i] < 0 || Array.IndexOf(places, places[i]) < i)
            {
                throw new WireFormatException($"outputs[{i}].name", $"it is '{DataTypes.Shortened(name)}'; accepted, each once: {TensorMatch.List(signature.Outputs)}.");
            }
        }
        return places;
    }

    private static TIn[] Read(IEndpointCodec<TIn, TOut> codec, WireTensor[] tensors, ModelSignature signature, int items)
    {
        var inputs = new TIn[items];
        var rows = new TensorRows(signature.Inputs, tensors);
        for (rows.Row = 0; rows.Row < items; rows.Row++)
        {
            inputs[rows.Row] = codec.ReadInput(rows);
        }
        return inputs;
    }

    private InferMessage Write(Bound bound, InferenceResult<TOut>[] results, InferMessage request, int[] requested)
    {
        var (signature, codec, _) = bound;
        var answer = new InferMessage { Id = request.Id, ModelName = Name, ModelVersion = Version };
        try
        {
            var outputs = new OutputRows(signature, results.Length, answer);
            for (var i = 0; i < signature.Outputs.Length; i++)
            {
                outputs.Reserve(i, ShapeOf(codec, results, i, signature.Outputs[i]));
            }
            for (outputs.Row = 0; outputs.Row < results.Length; outputs.Row++)
            {
                codec.WriteOutput(results[outputs.Row].Value, outputs);
            }
            foreach (var place in requested)
            {
                answer.Tensors.Add(outputs.ToTensor(place));
            }
            return answer;
        }
        catch
        {
            answer.Dispose();
            throw;
        }
    }

    private static long[] ShapeOf(IEndpointCodec<TIn, TOut> codec, InferenceResult<TOut>[] results, int output, TensorSpec spec)
    {
        var shape = spec.ItemShape.ToArray();
        if (spec.IsFixed)
        {
            return shape;
        }
        codec.GetOutputShape(results[0].Value, output, shape);
        var other = new long[shape.Length];
        for (var i = 1; i < results.Length; i++)
        {
            spec.ItemShape.CopyTo(other);
            codec.GetOutputShape(results[i].Value, output, other);
            if (!other.AsSpan().SequenceEqual(shape))
            {
                throw new WireFormatException(
                    $"outputs.{spec.Name}", $"item 0 came as [{string.Join(',', shape)}] and item {i} as [{string.Join(',', other)}]; accepted in one request: items whose outputs have the same shape.");
            }
        }
        return shape;
    }

    /// <param name="Signature">The tensors that clients see.</param>
    /// <param name="Codec">What maps them; bound to them.</param>
    /// <param name="IsOfCodec">Whether it is the codec that declares them, whatever the version of the model.</param>
    private sealed record Bound(ModelSignature Signature, IEndpointCodec<TIn, TOut> Codec, bool IsOfCodec);

    /// <summary>The outputs of a batch, written item by item into memory of the answer.</summary>
    private sealed class OutputRows(ModelSignature signature, int items, InferMessage answer) : ITensorItems
    {
        private readonly Output[] _outputs = new Output[signature.Outputs.Length];

        public int Row { get; set; }

        public int Count => _outputs.Length;

        public TensorItem this[int index]
        {
            get
            {
                ref readonly var output = ref _outputs[index];
                return output.Strings is { } strings
                    ? new TensorItem(signature.Outputs[index], output.Shape, strings.AsSpan(Row * output.Length, output.Length))
                    : new TensorItem(signature.Outputs[index], output.Shape, output.Bytes.Span.Slice(Row * output.Length, output.Length));
            }
        }

        public void Reserve(int index, long[] shape)
        {
            var type = signature.Outputs[index].ElementType;
            var elements = checked((int)WireTensor.CountOf(shape));
            var length = type == TensorElementType.String ? elements : checked(elements * TensorElementTypes.SizeOf(type));
            _outputs[index] = type == TensorElementType.String
                ? new Output(shape, length, default, new string[checked(length * items)])
                : new Output(shape, length, answer.Rent(checked(length * items)), null);
            // What a codec leaves out is nothing, and not what another request left there.
            _outputs[index].Bytes.Span.Clear();
            _outputs[index].Strings?.AsSpan().Fill("");
        }

        public WireTensor ToTensor(int index)
        {
            var (shape, _, bytes, strings) = _outputs[index];
            if (strings is not null)
            {
                bytes = answer.Rent(WireTensor.SizeOf(strings));
                WireTensor.Write(strings, bytes.Span);
            }
            return new WireTensor(signature.Outputs[index].Name, signature.Outputs[index].ElementType, [items, .. shape], bytes);
        }

        /// <param name="Shape">Of an item.</param>
        /// <param name="Length">Of an item: elements of strings, bytes of numbers.</param>
        /// <param name="Bytes">Of all items.</param>
        /// <param name="Strings">Of all items, where it is a tensor of strings.</param>
        private readonly record struct Output(long[] Shape, int Length, Memory<byte> Bytes, string[]? Strings);
    }
}
