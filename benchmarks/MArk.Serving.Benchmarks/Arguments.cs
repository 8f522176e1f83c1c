namespace MArk.Serving.Benchmarks;

/// <summary>What every verb takes: <c>--quick</c> and <c>--json FILE</c>.</summary>
internal sealed record Arguments(bool Quick, string? JsonFile)
{
    public static bool TryParse(string[] args, out Arguments parsed)
    {
        parsed = new(false, null);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--quick":
                    parsed = parsed with { Quick = true };
                    break;
                case "--json" when i + 1 < args.Length:
                    parsed = parsed with { JsonFile = args[++i] };
                    break;
                default:
                    Console.Error.WriteLine($"unknown option '{args[i]}'; accepted: --quick, --json FILE");
                    return false;
            }
        }
        return true;
    }

    /// <summary>The last line of every verb.</summary>
    public int Finish(string json)
    {
        if (JsonFile is not null)
        {
            File.WriteAllText(JsonFile, json);
        }
        Console.WriteLine($"RESULT {json}");
        return 0;
    }
}
