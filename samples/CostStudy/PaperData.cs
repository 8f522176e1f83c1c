using System.Text.Json;
using MArk.Serving.Simulation;

namespace CostStudy;

/// <summary>The inputs of the paper's evaluation: <c>Data/paper.json</c>, where each says where it comes from.</summary>
internal sealed class PaperData
{
    private readonly JsonElement _root;

    private PaperData(string json, string path)
    {
        _root = JsonDocument.Parse(json).RootElement;
        Models = StudyModel.Parse(json, path);
    }

    public IReadOnlyList<StudyModel> Models { get; }

    public IReadOnlyDictionary<string, StudyPrice> Prices
    {
        get
        {
            var prices = _root.GetProperty("prices_usd_per_hour");
            decimal? Of(string list, string type) => prices.GetProperty(list).TryGetProperty(type, out var price) ? price.GetDecimal() : null;
            return prices.GetProperty("on_demand").EnumerateObject().ToDictionary(
                price => price.Name, price => new StudyPrice(price.Value.GetDecimal()) { Spot = Of("spot", price.Name), Managed = Of("sagemaker", price.Name) });
        }
    }

    public StudyBilling Billing
    {
        get
        {
            var billing = _root.GetProperty("billing");
            return new StudyBilling
            {
                Pending = Seconds(billing, "pending_seconds"),
                Load = Seconds(billing, "load_seconds"),
                Minimum = Seconds(billing, "minimum_seconds"),
                ManagedLaunch = Seconds(_root.GetProperty("sagemaker"), "in_service_seconds"),
            };
        }
    }

    public JsonElement Workload(string name) => _root.GetProperty("workloads").GetProperty(name);

    public static PaperData Load()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "Data", "paper.json");
        return new PaperData(File.ReadAllText(path), path);
    }

    private static TimeSpan Seconds(JsonElement of, string name) => TimeSpan.FromSeconds(of.GetProperty(name).GetDouble());
}
