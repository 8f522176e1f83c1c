// A worker: a blank machine that loads the ONNX models it is told to, and serves them by the Open Inference Protocol.
//   Worker__AllowedSources__0=file:///srv/models/ ASPNETCORE_URLS=http://127.0.0.1:8000 dotnet run --project samples/Worker
using MArk.Serving.Aws;
using MArk.Serving.Batching;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.OpenInference;

var builder = WebApplication.CreateSlimBuilder(args);
builder.WebHost.UseKestrelHttpsConfiguration();
builder.Services.AddMArkServing();
builder.Services.AddOpenInferenceServer(options =>
{
    if (builder.Configuration["Worker:ApiKey"] is { Length: > 0 } key)
    {
        options.ApiKeys.Add(key);
    }
});
builder.Services.AddModelRepository(options =>
{
    foreach (var source in builder.Configuration.GetSection("Worker:AllowedSources").GetChildren())
    {
        options.AllowedSources.Add(source.Value!);
    }
    // Batches come from a host that has its own objective, and are as it wants them: here they wait for nothing but the device.
    options.Serve = (model, file) => model.UseOnnx(file).UseBatchPolicy(_ => new FixedWindowBatchPolicy(int.MaxValue, TimeSpan.Zero)).WithSlo(TimeSpan.FromSeconds(10));
});
if (builder.Configuration.GetValue("Worker:SpotNotice", false))
{
    // On a spot machine of EC2: said to the hosts before it is taken away.
    builder.Services.AddSpotNotice();
}
var app = builder.Build();
app.MapOpenInference();
app.Run();
