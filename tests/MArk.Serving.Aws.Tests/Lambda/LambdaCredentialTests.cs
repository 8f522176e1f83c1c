using Amazon.Runtime;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>Who calls is found by the SDK's default chain.</summary>
public sealed class LambdaCredentialTests : IDisposable
{
    private readonly Dictionary<string, string?> _before = [];

    [Fact]
    public async Task TheEnvironmentsCredentialsSign()
    {
        Set("AWS_ACCESS_KEY_ID", "AKIDOFENVIRONMENT");
        Set("AWS_SECRET_ACCESS_KEY", "hush");
        await using var stub = await StubLambda.StartAsync();
        await using var target = await TestTarget.StartAsync(stub.Address, o => o.UseCredentials(null));
        Assert.All(stub.Invocations, i => Assert.StartsWith("AWS4-HMAC-SHA256 Credential=AKIDOFENVIRONMENT/", i.Headers["Authorization"], StringComparison.Ordinal));
    }

    [Fact]
    public async Task WhereThereAreNoneTheStartSaysSo()
    {
        await using var stub = await StubLambda.StartAsync();
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address, o => o.UseCredentials(new NoCredentials())));
        Assert.Equal(LambdaFailure.AccessDenied, error.Failure);
        Assert.Contains("no credentials", error.Message, StringComparison.Ordinal);
        Assert.Empty(stub.Invocations);
    }

    [Fact]
    public async Task WhatGivesUpByItselfIsUnreachableAndNotCancelled()
    {
        await using var stub = await StubLambda.StartAsync();
        var error = await Assert.ThrowsAsync<LambdaSpilloverException>(() => TestTarget.StartAsync(stub.Address, o =>
        {
            o.UseCredentials(new LateCredentials());
            o.ReadyTimeout = TimeSpan.FromTicks(1);
        }));
        Assert.Equal(LambdaFailure.Unreachable, error.Failure);
        Assert.Contains("not within the time for a connection", error.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        foreach (var (name, value) in _before)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
    }

    private void Set(string name, string value)
    {
        _before[name] = Environment.GetEnvironmentVariable(name);
        Environment.SetEnvironmentVariable(name, value);
    }

    /// <summary>As a connection ends that takes longer than it may: by an exception that is that of a cancelled call too.</summary>
    private sealed class LateCredentials : AWSCredentials
    {
        public override ImmutableCredentials GetCredentials() => throw new TaskCanceledException("A task was canceled.", new TimeoutException("not within the time for a connection"));
    }

    /// <summary>As the chain ends where nothing is found.</summary>
    private sealed class NoCredentials : AWSCredentials
    {
        public override ImmutableCredentials GetCredentials() => throw new AmazonClientException("Failed to resolve AWS credentials.");
    }
}
