using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>Resolves the options against what a model declares. What does not fit is an error that names the option and what is accepted.</summary>
internal sealed class ModelPlanner
{
    // Every combination that occurs is bound once a batch size: the bound keeps that memory in hand.
    private const int MaxShapes = 65536;

    private readonly ModelDeclaration _model;
    private readonly int[][] _inputLengths;
    private readonly int[][] _outputLengths;
    private readonly List<int>[] _weightOf;
    private readonly ulong[] _fills;
    private readonly bool[] _isMask;

    private ModelPlanner(ModelDeclaration model)
    {
        _model = model;
        _inputLengths = [.. model.Inputs.Select(NoLengths)];
        _outputLengths = [.. model.Outputs.Select(NoLengths)];
        _weightOf = [.. model.Inputs.Select(_ => new List<int>())];
        _fills = new ulong[model.Inputs.Length];
        _isMask = new bool[model.Inputs.Length];
    }

    public static ModelPlan Plan(ModelDeclaration model, OnnxRunnerOptions options)
    {
        var planner = new ModelPlanner(model);
        ImmutableArray<OnnxPadding> paddings = options.Padding.IsDefault ? [] : options.Padding;
        for (var i = 0; i < paddings.Length; i++)
        {
            planner.Add(i, paddings[i] ?? throw planner.Misfit($"Padding[{i}]", "is null"));
        }
        if (paddings.Aggregate(1L, (product, p) => Math.Min(product * p.Buckets.Length, MaxShapes + 1)) > MaxShapes)
        {
            throw planner.Misfit("Padding", $"makes more than {MaxShapes} combinations of buckets; accepted are as many at most");
        }
        planner.Weigh(options.WeightOf.IsDefault ? [] : options.WeightOf);
        return new ModelPlan(
            model,
            [.. model.Inputs.Select((t, i) => new PlannedTensor(t.Spec, t.DimensionNames, [.. planner._inputLengths[i]], [.. planner._weightOf[i]], planner._isMask[i], planner._fills[i]))],
            [.. model.Outputs.Select((t, i) => new PlannedTensor(t.Spec, t.DimensionNames, [.. planner._outputLengths[i]], WeightOf: [], IsMask: false, Fill: 0))],
            [.. paddings.Select(p => new PaddedLength(p.Buckets))]);
    }

    private void Add(int length, OnnxPadding padding)
    {
        var option = $"Padding[{length}]";
        CheckBuckets($"{option}.Buckets", padding.Buckets);
        if (padding.Inputs.IsDefaultOrEmpty)
        {
            throw Misfit($"{option}.Inputs", $"names no dimension; accepted is at least one open dimension of {List(_model.Inputs)}");
        }
        var inputs = Claim(length, $"{option}.Inputs", padding.Inputs, "input", _model.Inputs, _inputLengths);
        Claim(length, $"{option}.Outputs", padding.Outputs.IsDefault ? [] : padding.Outputs, "output", _model.Outputs, _outputLengths);
        SetFills(option, padding, inputs);
        if (padding.Mask is not null)
        {
            AddMask(length, $"{option}.Mask", padding.Mask);
        }
    }

    private void CheckBuckets(string option, ImmutableArray<int> buckets)
    {
        if (buckets.IsDefaultOrEmpty || buckets[0] < 1 || buckets.Zip(buckets.Skip(1)).Any(b => b.Second <= b.First))
        {
            throw Misfit(option, $"is [{(buckets.IsDefault ? "" : string.Join(", ", buckets))}]; accepted is at least one length, the first at least 1 and each longer than the one before");
        }
    }

    private HashSet<int> Claim(int length, string option, ImmutableArray<OnnxDimension> dimensions, string what, ImmutableArray<DeclaredTensor> tensors, int[][] lengths)
    {
        var claimed = new HashSet<int>();
        for (var i = 0; i < dimensions.Length; i++)
        {
            var (tensor, d) = Find($"{option}[{i}]", dimensions[i], what, tensors);
            if (lengths[tensor][d] >= 0)
            {
                throw Misfit($"{option}[{i}]", $"is {dimensions[i]}, which is named before; accepted is each dimension once");
            }
            lengths[tensor][d] = length;
            claimed.Add(tensor);
        }
        return claimed;
    }

    private (int Tensor, int Dimension) Find(string option, OnnxDimension? dimension, string what, ImmutableArray<DeclaredTensor> tensors)
    {
        if (dimension is null)
        {
            throw Misfit(option, "is null");
        }
        var tensor = IndexOf(tensors, dimension.Tensor);
        if (tensor < 0)
        {
            throw Misfit(option, $"is {dimension}; the model has no such {what}, it declares {List(tensors)}");
        }
        var declared = tensors[tensor];
        var rank = declared.Spec.ItemShape.Length;
        int[] matches = dimension.Name is { } name
            ? [.. Enumerable.Range(0, rank).Where(d => declared.DimensionNames[d] == name)]
            : [.. Enumerable.Range(0, rank).Where(d => d + 1 == dimension.Index)];
        return matches switch
        {
            [] => throw Misfit(option, $"is {dimension}; accepted is an open dimension besides the batch of {declared}"),
            [var d] when declared.Spec.ItemShape[d] >= 0 => throw Misfit(option, $"is {dimension}, which is fixed at {declared.Spec.ItemShape[d]}; accepted is an open dimension besides the batch of {declared}"),
            [var d] => (tensor, d),
            _ => throw Misfit(option, $"is {dimension}, and {matches.Length} have that name; accepted is the place of one: {string.Join(", ", matches.Select(d => d + 1))}"),
        };
    }

    private void SetFills(string option, OnnxPadding padding, HashSet<int> inputs)
    {
        foreach (var (name, value) in padding.PadValues)
        {
            var input = IndexOf(_model.Inputs, name);
            if (!inputs.Contains(input))
            {
                throw Misfit($"{option}.PadValues", $"names '{name}', which it does not pad; it pads {List(inputs.Order().Select(i => _model.Inputs[i]))}");
            }
            if (!ElementBits.TryEncode(_model.Inputs[input].Spec.ElementType, value, out _fills[input]))
            {
                throw Misfit($"{option}.PadValues", $"is {value} for '{name}'; accepted is a value of {_model.Inputs[input].Spec.ElementType}{(_model.Inputs[input].Spec.ElementType == TensorElementType.String ? ": 0, the empty string" : "")}");
            }
        }
    }

    private void AddMask(int length, string option, string name)
    {
        var input = IndexOf(_model.Inputs, name);
        if (input < 0)
        {
            throw Misfit(option, $"is '{name}'; the model has no such input, it declares {List(_model.Inputs)}");
        }
        var mask = _model.Inputs[input];
        if (_isMask[input] || _inputLengths[input].Any(l => l >= 0))
        {
            throw Misfit(option, $"is '{name}', which is padded or a mask already; accepted is an input of its own");
        }
        if (mask.Spec.ElementType == TensorElementType.String || mask.Spec.ItemShape.Count(d => d < 0) != 1)
        {
            throw Misfit(option, $"is {mask}; accepted is an input of numbers or truth values with exactly one open dimension besides the batch");
        }
        ElementBits.TryEncode(mask.Spec.ElementType, 1, out _fills[input]);
        _isMask[input] = true;
        _inputLengths[input][mask.Spec.ItemShape.IndexOf(-1)] = length;
    }

    private void Weigh(ImmutableArray<OnnxDimension> dimensions)
    {
        for (var i = 0; i < dimensions.Length; i++)
        {
            var (input, d) = Find($"WeightOf[{i}]", dimensions[i], "input", _model.Inputs);
            if (_isMask[input])
            {
                throw Misfit($"WeightOf[{i}]", $"is {dimensions[i]}, a mask, which requests do not bring; accepted is a dimension that it is padded with");
            }
            _weightOf[input].Add(d);
        }
    }

    private static int[] NoLengths(DeclaredTensor tensor) => [.. tensor.Spec.ItemShape.Select(_ => -1)];

    private static int IndexOf(ImmutableArray<DeclaredTensor> tensors, string name)
    {
        for (var i = 0; i < tensors.Length; i++)
        {
            if (tensors[i].Name == name)
            {
                return i;
            }
        }
        return -1;
    }

    private static string List(IEnumerable<DeclaredTensor> tensors) => string.Join(", ", tensors);

    private ModelLoadException Misfit(string option, string problem) => new(_model.Path, $"{option} {problem}.");
}
