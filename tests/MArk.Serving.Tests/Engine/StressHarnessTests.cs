using MArk.Serving.Tests.Engine.Stress;

namespace MArk.Serving.Tests.Engine;

/// <summary>The stress test's own callers and book, on a client without an engine: they accept a right one, and find each wrong one out.</summary>
public sealed class StressHarnessTests
{
    private static readonly StressSettings Settings = StressSettings.Of(0) with { Callers = 4, Window = 6, CallsPerCaller = 500 };

    private static async Task<(RequestLedger Ledger, FakeClient Client)> RunAsync(ClientFault fault, TimeSpan patience)
    {
        var ledger = new RequestLedger();
        var client = new FakeClient(ledger, fault);
        await new StressCallers(client, ledger, Settings).RunAsync().WaitAsync(patience);
        await client.EndAsync();
        return (ledger, client);
    }

    [Fact]
    public async Task ARightClientIsAccepted()
    {
        var (ledger, _) = await RunAsync(ClientFault.None, TimeSpan.FromMinutes(1));
        Assert.Empty(ledger.Violations);
        Assert.Empty(ledger.Waiting);
        Assert.Equal(Settings.Callers * Settings.CallsPerCaller, ledger.Counts.Ended);
        Assert.True(ledger.Counts is { Succeeded: > 0, Failed: > 0, Cancelled: > 0 }, $"{ledger.Counts}");
    }

    [Theory]
    [InlineData((int)ClientFault.AnswersTwice, "ended 2 times")]
    [InlineData((int)ClientFault.SwapsTwoAnswers, "which is not the one to its input")]
    [InlineData((int)ClientFault.AnswersAPoison, "a poison has an answer")]
    [InlineData((int)ClientFault.FailsAHealthyCall, "no run said that it fails so")]
    [InlineData((int)ClientFault.RefusesWhatIsToBeServedLate, "it was to be served late")]
    [InlineData((int)ClientFault.RefusesBeforeTheStop, "nobody had stopped the model")]
    [InlineData((int)ClientFault.CancelsWhatNobodyTookBack, "nobody had cancelled it")]
    [InlineData((int)ClientFault.RunsWhatWasTakenBack, "it had ")]
    [InlineData((int)ClientFault.RunsWhatHasEnded, "it had ended before that")]
    [InlineData((int)ClientFault.RunsWhatHasExpired, "its deadline had passed before that")]
    [InlineData((int)ClientFault.RunsTheSameTwiceAtATime, "while it is run on")]
    [InlineData((int)ClientFault.MixesKeys, "mixes keys")]
    [InlineData((int)ClientFault.WritesAfterTheEnd, "after it ended")]
    public async Task AWrongClientIsFoundOut(int fault, string complaint)
    {
        var (ledger, client) = await RunAsync((ClientFault)fault, TimeSpan.FromMinutes(1));
        Assert.True(client.HasDoneIt);
        Assert.NotEmpty(ledger.Violations);
        Assert.All(ledger.Violations, v => Assert.Contains(complaint, v));
    }

    [Fact]
    public async Task AClientThatLosesAnAnswerIsFoundOut()
    {
        var ledger = new RequestLedger();
        var client = new FakeClient(ledger, ClientFault.LosesAnAnswer);
        // However long it may take, it does not end; a short patience only makes the test a short one.
        await Assert.ThrowsAsync<TimeoutException>(() => new StressCallers(client, ledger, Settings).RunAsync().WaitAsync(TimeSpan.FromSeconds(1)));
        Assert.True(client.HasDoneIt);
        Assert.NotEmpty(ledger.Waiting);
        Assert.Empty(ledger.Violations);
    }
}
