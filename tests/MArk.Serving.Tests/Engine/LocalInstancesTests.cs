using MArk.Serving.DependencyInjection;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Offerings that cannot be are refused where they are given, and not when the host starts.</summary>
public sealed class LocalInstancesTests
{
    public static TheoryData<string, LocalOffering[]> Bad => new()
    {
        { "at least one offering", [] },
        { "There are 2 local offerings named 'local'; names must be unique.", [new(), new()] },
        { "Local offering 'a': MaxInstances is 0; accepted: at least 1.", [new() { Name = "a", MaxInstances = 0 }] },
        { "Local offering 'local': LaunchDelay is -00:00:01; accepted: at least 00:00:00.", [new() { LaunchDelay = TimeSpan.FromSeconds(-1) }] },
    };

    private static void Add(Action<ModelBuilder<int, int>> use) => new ServiceCollection().AddMArkServing().AddModel<int, int>("m", m => use(m.UseBatchFunction(HistoryEngineTests.Double)));

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public void OfferingsOutsideTheirBoundsAreRefusedAtTheCall(string message, LocalOffering[] offerings) =>
        Assert.Contains(message, Assert.ThrowsAny<ArgumentException>(() => Add(m => m.UseLocalInstances(offerings))).Message);

    [Fact]
    public void NoInstancesAtAllAreRefusedAtTheCall() => Assert.Contains("MaxInstances is 0", Assert.Throws<ArgumentException>(() => Add(m => m.UseLocalInstances(0))).Message);
}
