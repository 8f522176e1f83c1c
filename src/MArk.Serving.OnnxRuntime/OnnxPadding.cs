using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime;

/// <summary>
/// A length that varies from request to request (tokens, samples, pixels of a row) and is padded up to one of a few, so that requests
/// of nearly the same length share a batch. Outputs are cut back to each request's own length.
/// </summary>
/// <remarks>
/// A request runs at the smallest bucket that holds it; a longer one than the largest bucket is refused at admission by an
/// <see cref="InvalidInputException"/>. The model must give the same answer however far its input is padded: by its mask, or because
/// the pad value is neutral to it.
/// </remarks>
public sealed class OnnxPadding
{
    /// <summary>The dimensions that have this length: open ones of inputs. In one request all of them must be of the same length.</summary>
    public required ImmutableArray<OnnxDimension> Inputs { get; init; }

    /// <summary>The lengths the model is run at, ascending, each at least 1.</summary>
    public required ImmutableArray<int> Buckets { get; init; }

    /// <summary>
    /// What fills an input beyond the request's own length, by the input's name; 0 (<see langword="false"/>, the empty string) where none
    /// is given. It must be a value of the input's element type.
    /// </summary>
    public IReadOnlyDictionary<string, double> PadValues { get; init; } = ImmutableDictionary<string, double>.Empty;

    /// <summary>
    /// The input that tells the model what is real: 1 (<see langword="true"/>) within the request's own length and 0 beyond. The runner
    /// fills it, and requests do not bring it. It is of numbers or of truth values, and has exactly one open dimension besides the batch,
    /// which is this length; <see langword="null"/> if the model has none.
    /// </summary>
    public string? Mask { get; init; }

    /// <summary>
    /// The dimensions of outputs that come as long as the bucket, and are cut back to the request's own length. An output that is not
    /// named here is handed out as the model gives it.
    /// </summary>
    public ImmutableArray<OnnxDimension> Outputs { get; init; } = [];
}
