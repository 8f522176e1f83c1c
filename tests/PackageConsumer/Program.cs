using MArk.Serving;
using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var builder = Host.CreateEmptyApplicationBuilder(null);
builder.Configuration.AddInMemoryCollection([new("MArk:Models:double:MaxBatchSize", "8")]);
builder.Services.AddMArkServing().AddModel<float, float>("double", m => m
    .UseBatchFunction((batch, sink, _) =>
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    })
    .WithSlo(TimeSpan.FromSeconds(10)));
using var host = builder.Build();
await host.StartAsync();
var client = host.Services.GetRequiredKeyedService<IModelClient<float, float>>("double");
var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i => await client.InferAsync(i)));
await host.StopAsync();
if (!answers.SequenceEqual(Enumerable.Range(0, 100).Select(i => 2f * i)))
{
    Console.Error.WriteLine("wrong answers");
    return 1;
}
Console.WriteLine("PackageConsumer: 100 requests served");
return 0;
