using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using MArk.Serving.Aws.Lambda;
using MArk.Serving.OpenInference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>The function of the samples, as a process, with Lambda's runtime API and its Invoke API before it, as they are documented.</summary>
public sealed class FunctionSampleTests
{
    [Theory]
    [InlineData(OpenInferenceForm.RestBinary)]
    [InlineData(OpenInferenceForm.RestJson)]
    public async Task DigitsAreSpilledToIt(OpenInferenceForm form)
    {
        await using var lambda = await Runtime.StartAsync();
        await using var target = await TestTarget.StartAsync(lambda.Address, o => (o.Form, o.MaxConcurrency) = (form, 1), model: "digits");
        var (answers, spills) = target.Spill([new float[64], [.. Enumerable.Range(0, 64).Select(i => i % 16f)], new float[64]]);
        await Task.WhenAll(spills);
        Assert.All(answers, a => Assert.Equal((1, 10), (a.Times, a.Result.Length)));
        Assert.Equal(answers[0].Result, answers[2].Result);
        Assert.NotEqual(answers[0].Result, answers[1].Result);
        await target.PrewarmAsync(1, CancellationToken.None);
    }

    [Fact]
    public async Task WhatIsNoEventIsAnErrorOfTheFunctionAndTheNextIsServed()
    {
        await using var lambda = await Runtime.StartAsync();
        foreach (var bad in (string[])["7", "{}", """{"rawPath":"/v2","requestContext":{}}"""])
        {
            var (isError, body, type) = await lambda.InvokeAsync(Encoding.UTF8.GetBytes(bad));
            Assert.True(isError);
            Assert.Equal(("Function.FormatException", "Function.FormatException"), (type, JsonDocument.Parse(body).RootElement.GetProperty("errorType").GetString()));
        }
        var (_, live, _) = await lambda.InvokeAsync("""{"version":"2.0","rawPath":"/v2/health/live","headers":{},"requestContext":{"http":{"method":"GET"}}}"""u8.ToArray());
        Assert.Equal(200, JsonDocument.Parse(live).RootElement.GetProperty("statusCode").GetInt32());
    }

    [Fact]
    public async Task ARequestThatTheModelDoesNotTakeFailsAlone()
    {
        await using var lambda = await Runtime.StartAsync();
        var signature = new ModelSignature([new TensorSpec("no-such-input", TensorElementType.Float32, [64])], [new TensorSpec("logits", TensorElementType.Float32, [10])]);
        await using var target = new LambdaSpilloverTarget<float[], float[]>(
            "digits", TestTarget.Options(lambda.Address, o => o.Signature = signature), new UnsampledCodec(), TimeSpan.FromSeconds(10), TimeProvider.System, NullLogger.Instance);
        await target.InitializeAsync(CancellationToken.None);
        var (answers, spills) = target.Spill([new float[64]]);
        await Task.WhenAll(spills);
        // The server says what the model declares.
        var message = Assert.IsType<InferenceFailedException>(answers[0].Error).Message;
        Assert.True(message.Contains("its server answered 400", StringComparison.Ordinal) && message.Contains("no input 'no-such-input'", StringComparison.Ordinal), message);
    }

    [Fact]
    public async Task AModelThatIsNotThereIsAnErrorOfTheStart()
    {
        await using var lambda = await Runtime.StartAsync(("MODEL_FILE", "/nowhere/at-all.onnx"));
        var error = await lambda.InitError;
        Assert.Contains("/nowhere/at-all.onnx", JsonDocument.Parse(error).RootElement.GetProperty("errorMessage").GetString()!, StringComparison.Ordinal);
        Assert.Equal(1, await lambda.ExitCodeAsync());
    }

    /// <summary>Both sides of Lambda: callers invoke here, and the process fetches here what they want.</summary>
    private sealed class Runtime : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly Channel<Invocation> _events = Channel.CreateUnbounded<Invocation>();
        private readonly TaskCompletionSource<byte[]> _initError = new();
        private Process? _process;

        private Runtime(WebApplication app) => _app = app;

        public Uri Address { get; private set; } = null!;

        public Task<byte[]> InitError => _initError.Task.WaitAsync(TimeSpan.FromMinutes(1));

        public static async Task<Runtime> StartAsync(params (string Name, string Value)[] environment)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var runtime = new Runtime(builder.Build());
            await runtime.StartAsync();
            var start = new ProcessStartInfo("dotnet");
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "bootstrap.dll"));
            start.Environment["AWS_LAMBDA_RUNTIME_API"] = runtime.Address.Authority;
            start.Environment["Logging__LogLevel__Default"] = "None";
            foreach (var (name, value) in environment)
            {
                start.Environment[name] = value;
            }
            runtime._process = Process.Start(start);
            return runtime;
        }

        public async Task<(bool IsError, byte[] Body, string? Type)> InvokeAsync(byte[] payload)
        {
            var invocation = new Invocation(payload);
            await _events.Writer.WriteAsync(invocation);
            return await invocation.Ended.Task.WaitAsync(TimeSpan.FromMinutes(1));
        }

        public async Task<int> ExitCodeAsync()
        {
            await _process!.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
            return _process.ExitCode;
        }

        public async ValueTask DisposeAsync()
        {
            if (_process is not null)
            {
                if (!_process.HasExited)
                {
                    _process.Kill(entireProcessTree: true);
                }
                await _process.WaitForExitAsync();
                _process.Dispose();
            }
            await _app.DisposeAsync();
        }

        private async Task StartAsync()
        {
            var underWay = new Dictionary<string, Invocation>();
            _app.MapPost("/2015-03-31/functions/forward/invocations", async context =>
            {
                var (isError, body, _) = await InvokeAsync(await ReadAsync(context));
                if (isError)
                {
                    context.Response.Headers["X-Amz-Function-Error"] = "Unhandled";
                }
                await context.Response.Body.WriteAsync(body);
            });
            _app.MapGet("/2018-06-01/runtime/invocation/next", async context =>
            {
                var next = await _events.Reader.ReadAsync(context.RequestAborted);
                var id = $"{underWay.Count}";
                underWay.Add(id, next);
                context.Response.Headers["Lambda-Runtime-Aws-Request-Id"] = id;
                await context.Response.Body.WriteAsync(next.Payload);
            });
            _app.MapPost("/2018-06-01/runtime/invocation/{id}/response", (HttpContext context, string id) => EndAsync(context, underWay[id], isError: false));
            _app.MapPost("/2018-06-01/runtime/invocation/{id}/error", (HttpContext context, string id) => EndAsync(context, underWay[id], isError: true));
            _app.MapPost("/2018-06-01/runtime/init/error", async context =>
            {
                _initError.SetResult(await ReadAsync(context));
                context.Response.StatusCode = StatusCodes.Status202Accepted;
            });
            await _app.StartAsync();
            Address = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        }

        private static async Task EndAsync(HttpContext context, Invocation invocation, bool isError)
        {
            invocation.Ended.SetResult((isError, await ReadAsync(context), context.Request.Headers["Lambda-Runtime-Function-Error-Type"]));
            context.Response.StatusCode = StatusCodes.Status202Accepted;
        }

        private static async Task<byte[]> ReadAsync(HttpContext context)
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            return body.ToArray();
        }

        private sealed record Invocation(byte[] Payload)
        {
            public TaskCompletionSource<(bool IsError, byte[] Body, string? Type)> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
