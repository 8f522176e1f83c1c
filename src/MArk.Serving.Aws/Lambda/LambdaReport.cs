using System.Buffers;
using System.Globalization;
using System.Text;

namespace MArk.Serving.Aws.Lambda;

/// <summary>What Lambda reports of an invocation, in the last line of its log.</summary>
/// <param name="Billed">The duration that is paid for.</param>
/// <param name="IsCold">Whether the environment had to start first, or to be restored from a snapshot.</param>
/// <param name="MemoryMiB">The function's memory, if it is told.</param>
internal readonly record struct LambdaReport(TimeSpan Billed, bool IsCold, int? MemoryMiB)
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789.");

    /// <summary>Reads the tail of a log, as the <c>X-Amz-Log-Result</c> header has it; in the text or the JSON form of logs.</summary>
    /// <returns>The report, or nothing where there is none: functions may log in other places, and emulators do not report.</returns>
    public static LambdaReport? Read(string? base64)
    {
        var bytes = new byte[base64?.Length ?? 0];
        if (!Convert.TryFromBase64String(base64 ?? "", bytes, out var length))
        {
            return null;
        }
        var tail = Encoding.UTF8.GetString(bytes, 0, length).AsSpan();
        if (tail.LastIndexOf("REPORT RequestId:", StringComparison.Ordinal) is >= 0 and var text)
        {
            var line = tail[text..];
            return Of(Number(line, "\tBilled Duration: "), line.Contains("\tInit Duration: ", StringComparison.Ordinal) || line.Contains("\tRestore Duration: ", StringComparison.Ordinal), Number(line, "\tMemory Size: "));
        }
        if (tail.LastIndexOf("\"platform.report\"", StringComparison.Ordinal) is >= 0 and var json)
        {
            var record = tail[json..];
            return Of(
                Number(record, "\"billedDurationMs\":"), record.Contains("\"initDurationMs\":", StringComparison.Ordinal) || record.Contains("\"restoreDurationMs\":", StringComparison.Ordinal),
                Number(record, "\"memorySizeMB\":"));
        }
        return null;
    }

    private static LambdaReport? Of(double? billedMs, bool isCold, double? memory) =>
        billedMs is { } ms ? new LambdaReport(TimeSpan.FromMilliseconds(ms), isCold, memory is > 0 ? (int)memory : null) : null;

    private static double? Number(ReadOnlySpan<char> text, string label)
    {
        var start = text.IndexOf(label, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }
        var rest = text[(start + label.Length)..].TrimStart();
        var end = rest.IndexOfAnyExcept(Digits);
        return double.TryParse(end < 0 ? rest : rest[..end], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value < 1e9 ? value : null;
    }
}
