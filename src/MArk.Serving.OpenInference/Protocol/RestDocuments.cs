using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>What a server says of itself.</summary>
internal sealed class ServerMetadataDocument
{
    public string? Name { get; set; }

    public string? Version { get; set; }

    public string[]? Extensions { get; set; }
}

/// <summary>What a server says of a model.</summary>
internal sealed class ModelMetadataDocument
{
    public string? Name { get; set; }

    public string[]? Versions { get; set; }

    public string? Platform { get; set; }

    public TensorDocument[]? Inputs { get; set; }

    public TensorDocument[]? Outputs { get; set; }

    /// <summary>The model's tensors.</summary>
    /// <exception cref="WireFormatException">They are none that can be served; names the field.</exception>
    public ModelSignature ToSignature()
    {
        TensorSpec[] inputs = [.. ToSpecs(Inputs, "inputs")], outputs = [.. ToSpecs(Outputs, "outputs")];
        // A batch that is fixed is no larger than it says.
        var batch = Inputs!.Concat(Outputs!).Select(t => t.Shape![0]).Where(d => d > 0).DefaultIfEmpty(int.MaxValue).Min();
        return new([.. inputs], [.. outputs], (int)Math.Min(batch, int.MaxValue));
    }

    public static TensorDocument[] Of(IEnumerable<TensorSpec> specs) =>
        [.. specs.Select(s => new TensorDocument { Name = s.Name, Datatype = DataTypes.NameOf(s.ElementType), Shape = [-1, .. s.ItemShape] })];

    private static IEnumerable<TensorSpec> ToSpecs(TensorDocument[]? tensors, string field)
    {
        if (tensors is null or [])
        {
            throw new WireFormatException(field, "there are none; accepted: at least one tensor.");
        }
        return tensors.Select((tensor, i) => tensor.ToSpec($"{field}[{i}]"));
    }
}

/// <summary>What a server says of a tensor.</summary>
internal sealed class TensorDocument
{
    public string? Name { get; set; }

    public string? Datatype { get; set; }

    public long[]? Shape { get; set; }

    public TensorSpec ToSpec(string field)
    {
        if (string.IsNullOrEmpty(Name))
        {
            throw new WireFormatException($"{field}.name", "it is missing or empty.");
        }
        if (Shape is null or [] || Shape.Any(d => d < -1))
        {
            throw new WireFormatException($"{field}.shape", $"it is [{string.Join(',', Shape ?? [])}]; accepted: the batch, which is -1 or its largest, and dimensions of at least -1.");
        }
        return new TensorSpec(Name, DataTypes.Parse(Datatype, $"{field}.datatype"), [.. Shape[1..]]);
    }
}

/// <summary>Whether a server or a model is ready.</summary>
internal sealed class ReadyDocument
{
    public string? Name { get; set; }

    public bool Ready { get; set; }
}

/// <summary>Whether a server lives.</summary>
internal sealed class LiveDocument
{
    public bool Live { get; set; }
}

/// <summary>What the v1 form says of a model.</summary>
internal sealed class PredictV1StatusDocument
{
    public PredictV1VersionDocument[]? ModelVersionStatus { get; set; }
}

/// <summary>What the v1 form says of a version.</summary>
internal sealed class PredictV1VersionDocument
{
    public string? Version { get; set; }

    public string? State { get; set; }
}

/// <summary>An error.</summary>
internal sealed class ErrorDocument
{
    public string? Error { get; set; }
}

/// <summary>Which models a repository index is to tell of.</summary>
internal sealed class RepositoryIndexQuery
{
    public bool Ready { get; set; }
}

/// <summary>A model of a repository index.</summary>
internal sealed class RepositoryModelDocument
{
    public string? Name { get; set; }

    public string? Version { get; set; }

    public string? State { get; set; }

    public string? Reason { get; set; }
}

/// <summary>What is to be loaded or unloaded.</summary>
internal sealed class RepositoryCallDocument
{
    public RepositoryParameters? Parameters { get; set; }
}

/// <summary>Which artifact a load is of; of an unload only the version counts.</summary>
internal sealed class RepositoryParameters
{
    public string? Uri { get; set; }

    public string? Sha256 { get; set; }

    public string? Version { get; set; }
}

/// <summary>What models have done.</summary>
internal sealed class ModelStatisticsDocument
{
    public ModelStatisticsEntry[]? ModelStats { get; set; }
}

/// <summary>What a model has done.</summary>
internal sealed class ModelStatisticsEntry
{
    public string? Name { get; set; }

    public string? Version { get; set; }

    /// <summary>Milliseconds since the Unix epoch.</summary>
    public long LastInference { get; set; }

    public long InferenceCount { get; set; }

    public long ExecutionCount { get; set; }

    public InferenceStatisticsDocument? InferenceStats { get; set; }
}

/// <summary>How many requests ended so, and how long they took.</summary>
internal sealed class InferenceStatisticsDocument
{
    public DurationDocument? Success { get; set; }

    public DurationDocument? Fail { get; set; }
}

/// <summary>So many, and all their time.</summary>
internal sealed class DurationDocument
{
    public long Count { get; set; }

    public long Ns { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ServerMetadataDocument))]
[JsonSerializable(typeof(ModelMetadataDocument))]
[JsonSerializable(typeof(ErrorDocument))]
[JsonSerializable(typeof(ReadyDocument))]
[JsonSerializable(typeof(LiveDocument))]
[JsonSerializable(typeof(PredictV1StatusDocument))]
[JsonSerializable(typeof(RepositoryIndexQuery))]
[JsonSerializable(typeof(RepositoryModelDocument[]))]
[JsonSerializable(typeof(RepositoryCallDocument))]
[JsonSerializable(typeof(ModelStatisticsDocument))]
internal sealed partial class RestJson : JsonSerializerContext
{
    /// <summary>As people read it: what is no part of HTML is not escaped.</summary>
    public static RestJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
