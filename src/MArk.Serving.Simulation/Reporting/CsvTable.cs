using System.Globalization;
using System.Text;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>Comma-separated values as in RFC 4180, but for the line's end: a line feed. Numbers are written so that they are read back as the same.</summary>
internal sealed class CsvTable
{
    private static readonly System.Buffers.SearchValues<char> Special = System.Buffers.SearchValues.Create(",\"\r\n");

    private readonly StringBuilder _text = new();

    public CsvTable(params ReadOnlySpan<string> headers) => Add(headers);

    public void Add(params ReadOnlySpan<string> cells)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            if (i > 0)
            {
                _text.Append(',');
            }
            if (cells[i].AsSpan().ContainsAny(Special))
            {
                _text.Append('"').Append(cells[i].Replace("\"", "\"\"", StringComparison.Ordinal)).Append('"');
            }
            else
            {
                _text.Append(cells[i]);
            }
        }
        _text.Append('\n');
    }

    public static string Cell(double value) => double.IsNaN(value) ? "" : value.ToString("R", CultureInfo.InvariantCulture);

    public static string Cell(decimal value) => value.ToString(CultureInfo.InvariantCulture);

    public static string Cell(long value) => value.ToString(CultureInfo.InvariantCulture);

    public static string Cell(bool value) => value ? "true" : "false";

    public byte[] ToBytes() => Encoding.UTF8.GetBytes(_text.ToString());
}
