using System.Globalization;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Holds the tensors of a message against what a model declares.</summary>
internal static class TensorMatch
{
    /// <summary>The declared tensors of a message, in the declared order, all with the same batch.</summary>
    /// <param name="tensors">The tensors of the message.</param>
    /// <param name="specs">What is declared.</param>
    /// <param name="field">What to name in an error: <c>inputs</c> or <c>outputs</c>.</param>
    /// <param name="items">How many items the batch has.</param>
    /// <exception cref="WireFormatException">One is missing, or of another type or shape.</exception>
    public static WireTensor[] Order(List<WireTensor> tensors, IReadOnlyList<TensorSpec> specs, string field, out int items)
    {
        var ordered = new WireTensor[specs.Count];
        var batch = -1L;
        for (var i = 0; i < ordered.Length; i++)
        {
            var spec = specs[i];
            var place = tensors.FindIndex(t => t.Name == spec.Name);
            if (place < 0)
            {
                throw new WireFormatException(field, $"'{spec.Name}' is missing; the model declares {List(specs)}.");
            }
            var tensor = tensors[place];
            if (tensor.ElementType != spec.ElementType)
            {
                throw new WireFormatException($"{field}[{place}].datatype", $"it is {DataTypes.NameOf(tensor.ElementType)}; the model declares {Describe(spec)}.");
            }
            if (!Fits(tensor.Shape, spec) || (batch >= 0 && tensor.Shape[0] != batch))
            {
                var of = batch < 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", with the batch of {batch} that others have");
                throw new WireFormatException($"{field}[{place}].shape", $"it is [{string.Join(',', tensor.Shape)}]; the model declares {Describe(spec)}{of}.");
            }
            batch = tensor.Shape[0];
            ordered[i] = tensor;
        }
        items = (int)Math.Min(Math.Max(batch, 0), int.MaxValue);
        return ordered;
    }

    /// <summary>The tensors, for messages.</summary>
    public static string List(IEnumerable<TensorSpec> specs) => string.Join(", ", specs.Select(Describe));

    private static string Describe(TensorSpec spec) =>
        $"{spec.Name}: {DataTypes.NameOf(spec.ElementType)}[{string.Join(',', ["batch", .. spec.ItemShape.Select(d => d.ToString(CultureInfo.InvariantCulture))])}]";

    private static bool Fits(long[] shape, TensorSpec spec)
    {
        if (shape.Length != spec.ItemShape.Length + 1)
        {
            return false;
        }
        for (var i = 0; i < spec.ItemShape.Length; i++)
        {
            if (spec.ItemShape[i] >= 0 && shape[i + 1] != spec.ItemShape[i])
            {
                return false;
            }
        }
        return true;
    }
}
