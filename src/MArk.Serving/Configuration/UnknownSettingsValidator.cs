using MArk.Serving.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Configuration;

/// <summary>Refuses keys of a model's section that no setting has: one that is misspelt would be a setting that is not made. Sections of parts that the model does not use are logged.</summary>
internal sealed class UnknownSettingsValidator(string modelName, KnownSettings known, IConfiguration? configuration, ILogger logger) : IValidateOptions<ModelOptions>
{
    public ValidateOptionsResult Validate(string? name, ModelOptions options)
    {
        if (name != modelName || configuration is null)
        {
            return ValidateOptionsResult.Skip;
        }
        var section = configuration.GetSection($"{ModelOptions.Sections}:{modelName}");
        foreach (var unused in known.Unused(section))
        {
            ServingLog.NoSuchPart(logger, unused, modelName);
        }
        var failures = known.Unknown(section)
            .Select(unknown => $"{unknown.Path} is no setting of what the model uses; accepted: {string.Join(", ", unknown.Accepted)}.").ToList();
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
