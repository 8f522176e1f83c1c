using System.Globalization;
using System.Text.Json.Nodes;

namespace MArk.Serving.Benchmarks;

/// <summary>What a verb was called with: <c>--quick</c> and <c>--json FILE</c>, which all take, and the verb's own options.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> _values = [];

    private Arguments()
    {
    }

    /// <summary>A smoke test: a few seconds, and figures that mean nothing.</summary>
    public bool Quick { get; private set; }

    private string? JsonFile { get; set; }

    public static Arguments? Parse(string[] args, params Option[] options)
    {
        var parsed = new Arguments();
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] == "--quick")
            {
                parsed.Quick = true;
            }
            else if (args[i] == "--json" && i + 1 < args.Length)
            {
                parsed.JsonFile = args[++i];
            }
            else if (Array.Find(options, o => o.Name == args[i]) is { } option && i + 1 < args.Length)
            {
                if (!option.Accepts(args[++i]))
                {
                    Console.Error.WriteLine($"{option.Name} is '{args[i]}'; accepted: {option.Accepted}");
                    return null;
                }
                parsed._values[option.Name] = args[i];
                while (option.TakesMany && i + 1 < args.Length && !args[i + 1].StartsWith("--", StringComparison.Ordinal))
                {
                    parsed._values[option.Name] += '\n' + args[++i];
                }
            }
            else
            {
                var accepted = string.Join(", ", ["--quick", "--json FILE", .. options.Select(o => $"{o.Name} {o.Accepted}")]);
                Console.Error.WriteLine($"unknown option, or one without its value: '{args[i]}'; accepted: {accepted}");
                return null;
            }
        }
        foreach (var option in options)
        {
            parsed._values.TryAdd(option.Name, parsed.Quick ? option.Quick : option.Full);
        }
        return parsed;
    }

    public string Text(string option) => _values[option];

    /// <summary>The values of an option that takes many; none if it was not given.</summary>
    public string[] Texts(string option) => _values[option].Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public double Number(string option) => double.Parse(_values[option], CultureInfo.InvariantCulture);

    public int Integer(string option) => int.Parse(_values[option], CultureInfo.InvariantCulture);

    /// <summary>The last line of every verb.</summary>
    public int Finish(JsonObject result)
    {
        var json = result.ToJsonString();
        if (JsonFile is not null)
        {
            File.WriteAllText(JsonFile, json);
        }
        Console.WriteLine($"RESULT {json}");
        return 0;
    }
}
