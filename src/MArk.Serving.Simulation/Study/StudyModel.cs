using System.Text.Json;
using System.Text.Json.Serialization;

namespace MArk.Serving.Simulation;

/// <summary>A model of a cost study: how long its batches take on each type of machine, and what is asked of it.</summary>
public sealed record StudyModel
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>The latency objective.</summary>
    public required TimeSpan Slo { get; init; }

    /// <summary>The share of requests that should be answered within it.</summary>
    public required double ServiceLevel { get; init; }

    /// <summary>The mean load it is studied at, requests per second.</summary>
    public required double MeanRate { get; init; }

    /// <summary>How long batches take on each type of machine.</summary>
    public required IReadOnlyList<StudyMachine> Machines { get; init; }

    /// <summary>The serverless function it can be spilled to; <see langword="null"/> where there is none.</summary>
    public StudyFunction? Function { get; init; }

    /// <summary>
    /// Reads models: <c>{ "models": [ … ] }</c>, or one alone, each with <c>name</c>, <c>slo_ms</c>, <c>service_level</c>, <c>mean_rps</c>, <c>instances</c> (<c>type</c> and
    /// <c>batch_latency_ms</c>, milliseconds by batch size) and, if it can be spilled, <c>lambda</c> (<c>warm_ms</c>, <c>cold_ms</c>, <c>usd_per_million</c>).
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The models; at least one.</returns>
    /// <exception cref="StudyInputException">The file cannot be read, or holds no such models; says where.</exception>
    public static IReadOnlyList<StudyModel> Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StudyInputException(path, $"it cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads models as <see cref="Load"/> does.</summary>
    /// <param name="json">The text.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>The models; at least one.</returns>
    /// <exception cref="StudyInputException">The text holds no such models; says where.</exception>
    public static IReadOnlyList<StudyModel> Parse(string json, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            StudyModelDocument[] models = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("models", out var list)
                ? list.Deserialize(StudyJson.Default.StudyModelDocumentArray) ?? []
                : [root.Deserialize(StudyJson.Default.StudyModelDocument)!];
            return models.Length > 0 ? [.. models.Select(m => Of(m, name))] : throw new StudyInputException(name, "it has no models; expected is at least one.");
        }
        catch (JsonException e)
        {
            throw new StudyInputException(name, $"it is no list of models: {e.Message}", e);
        }
    }

    private static StudyModel Of(StudyModelDocument model, string path)
    {
        if (string.IsNullOrWhiteSpace(model.Name))
        {
            throw new StudyInputException(path, "a model has no name.");
        }
        void Require(bool holds, string key, object? value, string expected)
        {
            if (!holds)
            {
                throw new StudyInputException(path, FormattableString.Invariant($"model '{model.Name}' has a {key} of {value ?? "nothing"}; expected is {expected}."));
            }
        }
        Require(model.SloMs is > 0 and < 1e9, "slo_ms", model.SloMs, "more than 0 and less than 1e9");
        Require(model.ServiceLevel is > 0 and < 1, "service_level", model.ServiceLevel, "more than 0 and less than 1");
        Require(model.MeanRps is > 0 and < 1e9, "mean_rps", model.MeanRps, "more than 0 and less than 1e9");
        Require(model.Instances is { Length: > 0 }, "list of instances", model.Instances?.Length, "at least one");
        if (model.Lambda is { } lambda)
        {
            Require(lambda.WarmMs is > 0 and < 1e9, "lambda.warm_ms", lambda.WarmMs, "more than 0 and less than 1e9");
            Require(lambda.ColdMs >= lambda.WarmMs && lambda.ColdMs < 1e9, "lambda.cold_ms", lambda.ColdMs, "warm_ms or more, and less than 1e9");
            Require(lambda.UsdPerMillion >= 0, "lambda.usd_per_million", lambda.UsdPerMillion, "at least 0");
        }
        return new StudyModel
        {
            Name = model.Name,
            Slo = TimeSpan.FromMilliseconds(model.SloMs),
            ServiceLevel = model.ServiceLevel,
            MeanRate = model.MeanRps,
            Machines = [.. model.Instances!.Select(i => new StudyMachine(i.Type ?? throw new StudyInputException(path, $"an instance of model '{model.Name}' has no type."), Profile(model, i, path)))],
            Function = model.Lambda is { } function
                ? new StudyFunction(TimeSpan.FromMilliseconds(function.WarmMs), TimeSpan.FromMilliseconds(function.ColdMs), function.UsdPerMillion / 1_000_000)
                : null,
        };
    }

    private static LatencyProfile Profile(StudyModelDocument model, StudyInstanceDocument instance, string path)
    {
        var points = new List<LatencyPoint>();
        foreach (var (size, milliseconds) in instance.BatchLatencyMs ?? [])
        {
            if (!int.TryParse(size, out var batch) || milliseconds is not (> 0 and < 1e9))
            {
                throw new StudyInputException(path, FormattableString.Invariant($"instance '{instance.Type}' of model '{model.Name}' takes {milliseconds} ms for a batch of '{size}'; expected are a whole number and a time of more than 0 and less than 1e9."));
            }
            points.Add(new LatencyPoint(batch, TimeSpan.FromMilliseconds(milliseconds), TimeSpan.FromMilliseconds(milliseconds)));
        }
        try
        {
            return new LatencyProfile([.. points.OrderBy(p => p.BatchSize)]);
        }
        catch (ProfileFormatException e)
        {
            throw new StudyInputException(path, $"instance '{instance.Type}' of model '{model.Name}': {e.Message}", e);
        }
    }
}

internal sealed record StudyModelDocument(string? Name, double SloMs, double ServiceLevel, double MeanRps, StudyInstanceDocument[]? Instances, StudyFunctionDocument? Lambda);

internal sealed record StudyInstanceDocument(string? Type, Dictionary<string, double>? BatchLatencyMs);

internal sealed record StudyFunctionDocument(double WarmMs, double ColdMs, decimal UsdPerMillion);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StudyModelDocument))]
[JsonSerializable(typeof(StudyModelDocument[]))]
internal sealed partial class StudyJson : JsonSerializerContext;

/// <summary>A type of machine, and how long a model's batches take there.</summary>
/// <param name="Type">The type's name.</param>
/// <param name="Profile">How long a batch of each size takes.</param>
public sealed record StudyMachine(string Type, LatencyProfile Profile);

/// <summary>A serverless function that runs a model.</summary>
/// <param name="Warm">How long a request takes in a warm environment.</param>
/// <param name="Cold">How long one takes whose environment must start first.</param>
/// <param name="PricePerRequest">What a request costs, US dollars.</param>
public sealed record StudyFunction(TimeSpan Warm, TimeSpan Cold, decimal PricePerRequest);

/// <summary>What a study is made from is not as it must be.</summary>
public sealed class StudyInputException : ServingException
{
    /// <summary>What a study is made from is not as it must be.</summary>
    /// <param name="source">The file, or the option.</param>
    /// <param name="message">What was wrong and what is expected.</param>
    /// <param name="innerException">The cause.</param>
    public StudyInputException(string source, string message, Exception? innerException = null) : base($"'{source}': {message}", innerException)
    {
    }
}
