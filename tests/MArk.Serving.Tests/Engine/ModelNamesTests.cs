using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>A host's models have names of their own, however many times serving is added to it.</summary>
public sealed class ModelNamesTests
{
    private readonly ServiceCollection _services = [];

    private static void Add(MArkServingBuilder serving, string name) => serving.AddModel<int, int>(name, m => m.UseBatchFunction(HistoryEngineTests.Double));

    [Fact]
    public void ANameThatIsTakenIsRefused()
    {
        var serving = _services.AddMArkServing();
        Add(serving, "m");
        Assert.Contains("There is a model 'm' already", Assert.Throws<ArgumentException>("name", () => Add(serving, "m")).Message);
    }

    [Fact]
    public void ANameThatIsTakenByAnotherCallIsRefused()
    {
        Add(_services.AddMArkServing(), "m");
        Assert.Contains("There is a model 'm' already", Assert.Throws<ArgumentException>("name", () => Add(_services.AddMArkServing(), "m")).Message);
        Add(_services.AddMArkServing(), "n");
    }

    [Fact]
    public void AnotherHostHasNamesOfItsOwn()
    {
        Add(_services.AddMArkServing(), "m");
        Add(new ServiceCollection().AddMArkServing(), "m");
    }
}
