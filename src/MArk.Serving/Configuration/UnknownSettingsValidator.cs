using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Configuration;

/// <summary>Refuses keys of a model's section that no setting has: one that is misspelt would be a setting that is not made.</summary>
internal sealed class UnknownSettingsValidator(string modelName, KnownSettings known, IConfiguration? configuration) : IValidateOptions<ModelOptions>
{
    public ValidateOptionsResult Validate(string? name, ModelOptions options)
    {
        if (name != modelName || configuration is null)
        {
            return ValidateOptionsResult.Skip;
        }
        var failures = known.Unknown(configuration.GetSection($"{ModelOptions.Sections}:{modelName}"))
            .Select(unknown => $"{unknown.Path} is no setting of what the model uses; accepted: {string.Join(", ", unknown.Accepted)}.").ToList();
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
