using MArk.Serving.Spillover;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Spillover;

public sealed class LocalSpilloverPrewarmTests
{
    [Fact]
    public async Task AsManyCopiesAsAskedForAreMadeAndNeverMoreThanThereMayBe()
    {
        var model = new VersionedModel(2);
        await using var target = new LocalSpilloverTarget<int, int>(model, (false, 0), new LocalSpilloverOptions { MaxConcurrency = 3 }, "m", TimeProvider.System);
        await target.InitializeAsync(CancellationToken.None);
        Assert.Equal(1, target.GetQuote().WarmConcurrency);
        await target.PrewarmAsync(2, CancellationToken.None);
        Assert.Equal((2, 3, 2), (target.GetQuote().WarmConcurrency, target.GetQuote().FreeConcurrency, model.Loaded));
        await target.PrewarmAsync(1, CancellationToken.None);
        Assert.Equal(2, model.Loaded);
        await target.PrewarmAsync(10, CancellationToken.None);
        Assert.Equal((3, 3), (target.GetQuote().WarmConcurrency, model.Loaded));
    }

    [Fact]
    public async Task ACopyThatCannotBeMadeIsSaidAndFreesItsPlace()
    {
        var model = new VersionedModel(2);
        await using var target = new LocalSpilloverTarget<int, int>(model, (false, 0), new LocalSpilloverOptions { MaxConcurrency = 3 }, "m", TimeProvider.System);
        await target.InitializeAsync(CancellationToken.None);
        model.WhileConnecting = () => throw new InvalidOperationException("no memory");
        await Assert.ThrowsAsync<InvalidOperationException>(() => target.PrewarmAsync(3, CancellationToken.None).AsTask());
        Assert.Equal(3, target.GetQuote().FreeConcurrency);
    }
}
