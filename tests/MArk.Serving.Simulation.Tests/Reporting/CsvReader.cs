using System.Text;

namespace MArk.Serving.Simulation.Tests.Reporting;

/// <summary>Reads RFC 4180.</summary>
internal static class CsvReader
{
    public static List<Dictionary<string, string>> Read(string path)
    {
        var rows = Rows(File.ReadAllText(path));
        return [.. rows.Skip(1).Select(r =>
        {
            Assert.Equal(rows[0].Count, r.Count);
            return rows[0].Zip(r).ToDictionary(p => p.First, p => p.Second);
        })];
    }

    private static List<List<string>> Rows(string text)
    {
        var rows = new List<List<string>> { new() };
        var cell = new StringBuilder();
        var isQuoted = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (isQuoted)
            {
                if (text[i] != '"')
                {
                    cell.Append(text[i]);
                }
                else if (i + 1 < text.Length && text[i + 1] == '"')
                {
                    cell.Append(text[++i]);
                }
                else
                {
                    isQuoted = false;
                }
            }
            else if (text[i] == '"')
            {
                isQuoted = true;
            }
            else if (text[i] is ',' or '\n')
            {
                rows[^1].Add(cell.ToString());
                cell.Clear();
                if (text[i] == '\n')
                {
                    rows.Add([]);
                }
            }
            else
            {
                cell.Append(text[i]);
            }
        }
        Assert.Empty(rows[^1]);
        rows.RemoveAt(rows.Count - 1);
        return rows;
    }
}
