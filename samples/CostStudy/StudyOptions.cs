using System.CommandLine;

namespace CostStudy;

/// <summary>The command line of one study.</summary>
internal sealed class StudyOptions
{
    private const string DefaultPolicies = "mark-serving,mark-serving-spot,mark,sagemaker,hpa,kpa,ray-serve,static-peak,clairvoyant";

    private readonly Option<FileInfo?> _trace = new("--trace") { Description = "A file of arrivals: lines of offset_s,count." };
    private readonly Option<string> _workload = new("--workload") { Description = "A made-up load: diurnal, mmpp, flash-crowd, constant or surge.", DefaultValueFactory = _ => "diurnal" };
    private readonly Option<double> _scale = new("--scale") { Description = "Multiplies the load.", DefaultValueFactory = _ => 1 };
    private readonly Option<string> _model = new("--model") { Description = "One of the paper's models (inception-v3, nasnet, lstm-ptb, opennmt-ende), or a file of one.", DefaultValueFactory = _ => "inception-v3" };
    private readonly Option<FileInfo?> _prices = new("--prices") { Description = "A CSV file of prices by type of machine; those of the sample without it." };
    private readonly Option<string> _policies = new("--policies") { Description = "What is compared, separated by commas.", DefaultValueFactory = _ => DefaultPolicies };
    private readonly Option<double?> _slo = new("--slo-ms") { Description = "The latency objective; the model's without it." };
    private readonly Option<double?> _serviceLevel = new("--service-level") { Description = "The share of requests that should be within it; the model's without it." };
    private readonly Option<double?> _hours = new("--hours") { Description = "How long the load lasts: of a trace, its first hours; of a made-up one 24 without it." };
    private readonly Option<FileInfo?> _losses = new("--losses") { Description = "A file of moments at which spot machines are taken away, beside their hazard by the prices: lines of offset_s,share." };
    private readonly Option<int> _seed = new("--seed") { Description = "Seeds all randomness.", DefaultValueFactory = _ => 1 };
    private readonly Option<DirectoryInfo> _output = new("--out") { Description = "Where the report is written.", DefaultValueFactory = _ => new DirectoryInfo("artifacts/study") };

    /// <param name="command">What the options are of.</param>
    /// <param name="ofOneLoad">Whether they say which load it is; loads are given otherwise without.</param>
    public StudyOptions(Command command, bool ofOneLoad = true)
    {
        foreach (var option in new Option[] { _model, _prices, _policies, _slo, _serviceLevel, _hours, _losses, _seed, _output }.Concat(ofOneLoad ? [_trace, _workload, _scale] : []))
        {
            command.Options.Add(option);
        }
    }

    public StudySettings Read(ParseResult result) => new(
        result.GetValue(_trace)?.FullName, result.GetValue(_workload)!, result.GetValue(_scale), result.GetValue(_model)!, result.GetValue(_prices)?.FullName,
        result.GetValue(_policies)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
        result.GetValue(_slo), result.GetValue(_serviceLevel), result.GetValue(_hours), result.GetValue(_losses)?.FullName, result.GetValue(_seed), result.GetValue(_output)!.FullName);
}

/// <summary>What a study was asked for.</summary>
internal sealed record StudySettings(
    string? Trace, string Workload, double Scale, string Model, string? Prices, string[] Policies, double? SloMs, double? ServiceLevel, double? Hours, string? Losses, int Seed, string Output);
