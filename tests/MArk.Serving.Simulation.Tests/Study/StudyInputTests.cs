namespace MArk.Serving.Simulation.Tests.Study;

/// <summary>What a study is made from: models, prices, policies by name, and what is said where they are not as they must be.</summary>
public sealed class StudyInputTests : IDisposable
{
    private const string Model = """
        { "name": "m", "slo_ms": 600, "service_level": 0.98, "mean_rps": 78,
          "instances": [ { "type": "cpu", "batch_latency_ms": { "1": 200 } }, { "type": "gpu", "batch_latency_ms": { "8": 144.6, "1": 47.6 } } ],
          "lambda": { "warm_ms": 380, "cold_ms": 4600, "usd_per_million": 19.0 } }
        """;

    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    private static StudyCase Case(StudyModel? model = null) => new()
    {
        Model = model ?? StudyModel.Parse(Model, "m")[0],
        Prices = new Dictionary<string, StudyPrice> { ["cpu"] = new(0.1m), ["gpu"] = new(0.9m) },
        Trace = Workloads.Constant(TimeSpan.FromMinutes(5), 10),
    };

    [Fact]
    public void AModelIsReadAloneOrOfAList()
    {
        var model = Assert.Single(StudyModel.Parse(Model, "m"));
        Assert.Equal(("m", 600, 0.98, 78), (model.Name, model.Slo.TotalMilliseconds, model.ServiceLevel, model.MeanRate));
        Assert.Equal(["cpu", "gpu"], model.Machines.Select(m => m.Type));
        Assert.Equal(144.6, model.Machines[1].Profile.Mean(8).TotalMilliseconds, 6);
        Assert.Equal(0.000019m, model.Function!.PricePerRequest);
        Assert.Equal(2, StudyModel.Parse($$"""{ "models": [ {{Model}}, {{Model}} ] }""", "m").Count);
    }

    [Theory]
    [InlineData("{", "it is no list of models")]
    [InlineData("""{ "models": [] }""", "it has no models; expected is at least one.")]
    [InlineData("{}", "a model has no name.")]
    [InlineData("""{ "name": "m" }""", "model 'm' has a slo_ms of 0; expected is more than 0 and less than 1e9.")]
    [InlineData("""{ "name": "m", "slo_ms": 1, "service_level": 1, "mean_rps": 1 }""", "model 'm' has a service_level of 1; expected is more than 0 and less than 1.")]
    [InlineData("""{ "name": "m", "slo_ms": 1, "service_level": 0.9, "mean_rps": 1 }""", "model 'm' has a list of instances of nothing; expected is at least one.")]
    [InlineData("""{ "name": "m", "slo_ms": 1, "service_level": 0.9, "mean_rps": 1, "instances": [ { "type": "t", "batch_latency_ms": { "one": 1 } } ] }""", "takes 1 ms for a batch of 'one'")]
    [InlineData("""{ "name": "m", "slo_ms": 1, "service_level": 0.9, "mean_rps": 1, "instances": [ { "type": "t" } ] }""", "instance 't' of model 'm': A latency profile needs at least one measured batch size.")]
    [InlineData("""{ "name": "m", "slo_ms": 1, "service_level": 0.9, "mean_rps": 1, "instances": [ { "type": "t", "batch_latency_ms": { "1": 1 } } ], "lambda": { "warm_ms": 2, "cold_ms": 1 } }""", "lambda.cold_ms of 1; expected is warm_ms or more")]
    public void ABadModelIsNamed(string json, string message)
    {
        var error = Assert.Throws<StudyInputException>(() => StudyModel.Parse(json, "models.json"));
        Assert.StartsWith("'models.json': ", error.Message);
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void PricesAreReadWithWhatElseThereIs()
    {
        File.WriteAllText(_file, "type,vcpu,ondemand_usd_h,spot_usd_h_est,interruption_month,sagemaker_usd_h\na,2,0.1,0.04,5-10%,0.12\nb,4,0.2,,,\n");
        var prices = StudyPrices.Load(_file);
        Assert.Equal(new StudyPrice(0.1m) { Spot = 0.04m, Managed = 0.12m, InterruptionsPerHour = prices["a"].InterruptionsPerHour }, prices["a"]);
        // 7.5 % in the 730 hours of a month.
        Assert.Equal(0.925, Math.Exp(-730 * prices["a"].InterruptionsPerHour), 6);
        Assert.Equal(new StudyPrice(0.2m), prices["b"]);
    }

    [Theory]
    [InlineData("", "line 1: the header is ''; expected are columns 'type' and 'ondemand_usd_h', and others.")]
    [InlineData("type,price\n", "line 1: the header is 'type,price'; expected are columns 'type' and 'ondemand_usd_h', and others.")]
    [InlineData("type,ondemand_usd_h\na,x\n", "line 2: ondemand_usd_h is 'x'; expected is a number of at least 0.")]
    [InlineData("type,ondemand_usd_h\na,\n", "line 2: 'a,' has no type or no ondemand_usd_h.")]
    [InlineData("type,ondemand_usd_h\na,1\na,2\n", "line 3: there is an earlier line for 'a'; expected is one for each type.")]
    [InlineData("type,ondemand_usd_h,interruption_month\na,1,often\n", "line 2: interruption_month is 'often'; expected is <5%, 5-10%, 10-15%, 15-20% or >20%.")]
    public void BadPricesAreNamed(string text, string message)
    {
        File.WriteAllText(_file, text);
        Assert.Equal($"'{_file}': {message}", Assert.Throws<StudyInputException>(() => StudyPrices.Load(_file)).Message);
    }

    [Fact]
    public void AFileThatIsNotThereIsNamed()
    {
        Assert.Contains("cannot be read", Assert.Throws<StudyInputException>(() => StudyPrices.Load(_file + ".none")).Message);
        Assert.Contains("cannot be read", Assert.Throws<StudyInputException>(() => StudyModel.Load(_file + ".none")).Message);
    }

    [Fact]
    public void AnUnknownPolicyIsRefusedWithThoseThereAre() =>
        Assert.Contains($"there is no 'x'; there are: {string.Join(", ", StudyPolicies.All.Select(p => p.Name))}.", Assert.Throws<StudyInputException>(() => StudyPolicies.Find("x")).Message);

    [Fact]
    public void AModelThatNoTypeServesInTimeIsNamedWithEachTypesTime()
    {
        var model = StudyModel.Parse(Model, "m")[0] with { Slo = TimeSpan.FromMilliseconds(40) };
        var error = Assert.Throws<StudyInputException>(() => StudyPolicies.Find("mark-serving").Run(Case(model)));
        Assert.Contains("no type can keep the objective of 40 ms: T_1 of cpu is 200 ms, T_1 of gpu is 47.6 ms.", error.Message);
    }

    [Fact]
    public void APriceThatIsMissingIsNamed()
    {
        var priceless = Case() with { Prices = new Dictionary<string, StudyPrice> { ["cpu"] = new(0.1m) } };
        Assert.Contains("there is none for type 'gpu' of model 'm'; there are: cpu.", Assert.Throws<StudyInputException>(() => StudyPolicies.Find("hpa").Run(priceless)).Message);
        Assert.Contains("no type of model 'm' has a price as a managed endpoint: cpu, gpu.", Assert.Throws<StudyInputException>(() => StudyPolicies.Find("sagemaker").Run(Case())).Message);
        Assert.Contains("no type of model 'm' has a spot price: cpu, gpu.", Assert.Throws<StudyInputException>(() => StudyPolicies.Find("mark-spot").Run(Case())).Message);
    }
}
