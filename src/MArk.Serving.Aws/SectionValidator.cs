using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws;

/// <summary>Checks the options of one model that have a section of their own: each violation with the section's name.</summary>
internal sealed class SectionValidator<T>(string model, string section, Func<T, IEnumerable<string>> violations) : IValidateOptions<T> where T : class
{
    public ValidateOptionsResult Validate(string? name, T options) =>
        name != model ? ValidateOptionsResult.Skip
        : violations(options).Select(v => $"MArk:Models:{model}:{section}: {v}").ToList() is { Count: > 0 } all ? ValidateOptionsResult.Fail(all)
        : ValidateOptionsResult.Success;
}
