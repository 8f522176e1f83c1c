using System.Net;
using MArk.Serving;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.OpenInference;
using MArk.Serving.Provisioning;
#if WITH_LSTM
using MArk.Serving.TorchSharp;
#endif
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

var builder = Host.CreateEmptyApplicationBuilder(null);
builder.Configuration.AddInMemoryCollection([new("MArk:Models:double:MaxBatchSize", "8"), new("MArk:Models:digits:Fleet:SampleInterval", "00:00:01")]);
builder.Services.AddMArkServing().AddModel<float, float>("double", m => m
    .UseBatchFunction((batch, sink, _) =>
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    })
    .WithSlo(TimeSpan.FromSeconds(10)))
    .AddModel<float[], float[]>("digits", m => m
        .UseOnnx(Path.Combine(AppContext.BaseDirectory, "digits.onnx")).WithSlo(TimeSpan.FromSeconds(10))
#if WITH_LSTM
        .UseLstmPredictor()
#endif
        .UseLocalInstances(new LocalOffering { Name = "core", PricePerHour = 1 }).UseLocalSpillover());
using var host = builder.Build();
await host.StartAsync();
var client = host.Services.GetRequiredKeyedService<IModelClient<float, float>>("double");
var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i => await client.InferAsync(i)));
var digits = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("digits");
var logits = await digits.InferAsync(new float[64]);
var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>("digits");
var ready = monitor.GetReport().ReadyInstances;
await host.StopAsync();
if (ready != 1 || monitor.GetReport().Cost is not { Launched: 1, Terminated: 1, InstanceCost: > 0 })
{
    Console.Error.WriteLine("the fleet of one was not had, paid for and given up");
    return 1;
}
if (logits.Length != 10 || !answers.SequenceEqual(Enumerable.Range(0, 100).Select(i => 2f * i)))
{
    Console.Error.WriteLine("wrong answers");
    return 1;
}

// The same digit by a server of the protocol, in each of its forms.
var web = WebApplication.CreateSlimBuilder();
web.Logging.ClearProviders();
web.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1);
    kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2);
});
web.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m.UseOnnx(Path.Combine(AppContext.BaseDirectory, "digits.onnx")).WithSlo(TimeSpan.FromSeconds(10)));
web.Services.AddOpenInferenceServer();
await using var server = web.Build();
server.MapOpenInference();
await server.StartAsync();
foreach (var form in new[] { OpenInferenceForm.RestBinary, OpenInferenceForm.RestJson, OpenInferenceForm.Grpc })
{
    var isGrpc = form == OpenInferenceForm.Grpc;
    var remote = Host.CreateEmptyApplicationBuilder(null);
    remote.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
        .UseOpenInference(new OpenInferenceOptions { Model = "digits", Form = form })
        .UseEndpoints(new EndpointsOptions { Endpoints = [new Uri(server.Urls.ElementAt(isGrpc ? 1 : 0))], Health = new HealthOptions { Grpc = isGrpc } })
        .WithSlo(TimeSpan.FromSeconds(10)));
    using var remoteHost = remote.Build();
    await remoteHost.StartAsync();
    var there = await remoteHost.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("digits").InferAsync(new float[64]);
    await remoteHost.StopAsync();
    if (!there.SequenceEqual(logits))
    {
        Console.Error.WriteLine($"another answer by {form}");
        return 1;
    }
}
Console.WriteLine("PackageConsumer: 100 requests and a digit served, and the digit over REST and gRPC");
return 0;
