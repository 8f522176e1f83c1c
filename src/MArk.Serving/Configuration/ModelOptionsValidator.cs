using Microsoft.Extensions.Options;

namespace MArk.Serving.Configuration;

/// <summary>Checks a model's settings at start; each message names the key and what is accepted.</summary>
internal sealed class ModelOptionsValidator(string modelName) : IValidateOptions<ModelOptions>
{
    public ValidateOptionsResult Validate(string? name, ModelOptions options)
    {
        if (name != modelName)
        {
            return ValidateOptionsResult.Skip;
        }
        var failures = new List<string>();
        Check(options.Slo > TimeSpan.Zero && options.Slo <= TimeSpan.FromDays(1), nameof(options.Slo), options.Slo, "more than 00:00:00, at most 1.00:00:00");
        Check(options.ServiceLevel is > 0 and < 1, nameof(options.ServiceLevel), options.ServiceLevel, "more than 0, less than 1");
        Check(options.MaxBatchSize is >= 1 and <= 65_536, nameof(options.MaxBatchSize), options.MaxBatchSize, "1 to 65536");
        Check(options.MaxQueueLength is >= 1 and <= 10_000_000, nameof(options.MaxQueueLength), options.MaxQueueLength, "1 to 10000000");
        Check(options.MaxRedeliveries is >= 0 and <= 100, nameof(options.MaxRedeliveries), options.MaxRedeliveries, "0 to 100");
        Check(options.DrainTimeout >= TimeSpan.Zero && options.DrainTimeout <= TimeSpan.FromDays(1), nameof(options.DrainTimeout), options.DrainTimeout, "00:00:00 to 1.00:00:00");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Check<T>(bool holds, string key, T value, string accepted)
        {
            if (!holds)
            {
                failures.Add(FormattableString.Invariant($"MArk:Models:{modelName}:{key} is {value}; accepted: {accepted}."));
            }
        }
    }
}
