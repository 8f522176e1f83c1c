// A worker as a Lambda function on a custom runtime: it serves one ONNX model by the Open Inference Protocol on a loopback port, and hands it the events that Lambda has for it.
//   MODEL_FILE, the model (default: the digits of this sample); MODEL_NAME, its name (default: that of the file).
using Function;
using MArk.Serving;
using MArk.Serving.Batching;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.OpenInference;

using var runtime = new RuntimeApi(Environment.GetEnvironmentVariable("AWS_LAMBDA_RUNTIME_API")
    ?? throw new InvalidOperationException("AWS_LAMBDA_RUNTIME_API is not set: Lambda sets it for what it runs."));
WebApplication app;
try
{
    app = await StartServerAsync();
}
catch (Exception e)
{
    // Lambda shows it to whoever calls the function.
    await runtime.FailInitAsync(e);
    return 1;
}
using var server = new HttpClient { BaseAddress = new Uri(app.Urls.First()), Timeout = Timeout.InfiniteTimeSpan };
while (true)
{
    await runtime.HandleNextAsync(body => HttpEvent.ForwardAsync(body, server));
}

static async Task<WebApplication> StartServerAsync()
{
    var file = Environment.GetEnvironmentVariable("MODEL_FILE") ?? Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx");
    var name = Environment.GetEnvironmentVariable("MODEL_NAME") ?? Path.GetFileNameWithoutExtension(file);
    var builder = WebApplication.CreateSlimBuilder();
    builder.WebHost.UseUrls("http://127.0.0.1:0");
    // One event at a time comes here, with a batch that its host has made up: it waits for nothing, and has all cores.
    builder.Services.AddMArkServing().AddModel<NamedTensors, NamedTensors>(name, model => model
        .UseOnnx(file)
        .UseBatchPolicy(_ => new FixedWindowBatchPolicy(int.MaxValue, TimeSpan.Zero))
        .WithConcurrency(instances: 1, threads: Environment.ProcessorCount)
        .WithSlo(TimeSpan.FromSeconds(10)));
    builder.Services.AddOpenInferenceServer();
    var app = builder.Build();
    app.MapOpenInference();
    await app.StartAsync();
    return app;
}
