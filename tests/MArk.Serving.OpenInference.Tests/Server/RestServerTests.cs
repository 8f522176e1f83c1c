using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MArk.Serving.Diagnostics;
using MArk.Serving.OpenInference.Tests.Protocol;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.OpenInference.Tests.Server;

public sealed class RestServerTests
{
    private static readonly TensorSpec Rows = new("x", TensorElementType.Float32, [-1]);

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        return document.RootElement.Clone();
    }

    private static async Task AssertRefusedAsync(HttpResponseMessage response, HttpStatusCode status, string says)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{response.StatusCode}: {text}");
        using var document = JsonDocument.Parse(text);
        Assert.Contains(says, document.RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HealthAndMetadata()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows).AddPair(), TestModels.MapPair);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/health/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/models/echo/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/models/echo/versions/1/ready")).StatusCode);
        await AssertRefusedAsync(await server.Http.GetAsync("v2/models/none/ready"), HttpStatusCode.NotFound, "no model 'none'");
        await AssertRefusedAsync(await server.Http.GetAsync("v2/models/echo/versions/2"), HttpStatusCode.NotFound, "there are: 1");
        Assert.Equal("MArk.Serving", (await ReadAsync(await server.Http.GetAsync("v2"))).GetProperty("name").GetString());
        Assert.Equal(
            """{"name":"echo","versions":["1"],"platform":"mark_serving","inputs":[{"name":"x","datatype":"FP32","shape":[-1,-1]}],"outputs":[{"name":"y_x","datatype":"FP32","shape":[-1,-1]}]}""",
            await server.Http.GetStringAsync("v2/models/echo"));
        Assert.Contains("\"shape\":[-1,2]", await server.Http.GetStringAsync("v2/models/pair"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(GoldenMessageTests.AllTypes), MemberType = typeof(GoldenMessageTests))]
    public async Task EveryTypeComesBackAsItWent(string type, string elements, byte[] binary)
    {
        var element = MArk.Serving.OpenInference.Protocol.DataTypes.Parse(type, "");
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", new TensorSpec("a", element, [1]), new TensorSpec("b", element, [1])));
        var (body, header) = Messages.WithBinary(
            $$$"""{"id":"7","inputs":[{"name":"b","shape":[2,1],"datatype":"{{{type}}}","parameters":{"binary_data_size":{{{binary.Length}}}}},{"name":"a","shape":[2,1],"datatype":"{{{type}}}","data":{{{elements}}}}],"outputs":[{"name":"y_b"},{"name":"y_a","parameters":{"binary_data":true}}]}""",
            binary);
        using var content = new ByteArrayContent(body);
        content.Headers.Add("Inference-Header-Content-Length", header.ToString(System.Globalization.CultureInfo.InvariantCulture));
        using var response = await server.Http.PostAsync("v2/models/echo/infer", content);
        var answer = await response.Content.ReadAsByteArrayAsync();
        Assert.True(response.IsSuccessStatusCode, Encoding.UTF8.GetString(answer));
        var length = int.Parse(response.Headers.GetValues("Inference-Header-Content-Length").Single(), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(
            $$$"""{"model_name":"echo","model_version":"1","id":"7","outputs":[{"name":"y_b","datatype":"{{{type}}}","shape":[2,1],"data":{{{elements}}}},{"name":"y_a","datatype":"{{{type}}}","shape":[2,1],"parameters":{"binary_data_size":{{{binary.Length}}}}}]}""",
            Encoding.UTF8.GetString(answer.AsSpan(0, length)));
        Assert.Equal(binary, answer[length..]);
    }

    [Theory]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1,2]}]}""", "inputs[0].data")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,1],"datatype":"INT32","data":[1]}]}""", "inputs[0].datatype")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}""", "inputs[0].shape")]
    [InlineData("""{"inputs":[{"name":"x","shape":[0,1],"datatype":"FP32","data":[]}]}""", "inputs[0].shape")]
    [InlineData("""{"inputs":[{"name":"../x","shape":[1,1],"datatype":"FP32","data":[1]}]}""", "inputs[0].name")]
    [InlineData("""{"inputs":[]}""", "inputs: 'x' is missing")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"z"}]}""", "outputs[0].name")]
    [InlineData("not json", "body")]
    public async Task BadInputIsNamed(string json, string field)
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows));
        await AssertRefusedAsync(await server.Http.PostAsync("v2/models/echo/infer", Json(json)), HttpStatusCode.BadRequest, field);
        // Nothing else is lost by it.
        Assert.Equal(HttpStatusCode.OK, (await server.Http.PostAsync("v2/models/echo/infer", Json("""{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}"""))).StatusCode);
    }

    [Fact]
    public async Task ABodyThatIsTooLargeIsRefusedHoweverItComes()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows), o => o.Limits = new WireLimits { MaxBytes = 1000 });
        await AssertRefusedAsync(await server.Http.PostAsync("v2/models/echo/infer", new ByteArrayContent(new byte[1001])), HttpStatusCode.RequestEntityTooLarge, "1000 bytes");
        using var request = new HttpRequestMessage(HttpMethod.Post, "v2/models/echo/infer") { Content = new ByteArrayContent(new byte[5000]) };
        request.Headers.TransferEncodingChunked = true;
        await AssertRefusedAsync(await server.Http.SendAsync(request), HttpStatusCode.RequestEntityTooLarge, "1000 bytes");
    }

    [Fact]
    public async Task KeysAreAskedForWhereThereAreAnyButNotOfProbes()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows), o => o.ApiKeys.Add("secret"));
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/health/ready")).StatusCode);
        var refused = await server.Http.GetAsync("v2/models/echo");
        await AssertRefusedAsync(refused, HttpStatusCode.Unauthorized, "No key");
        Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.ToString());
        foreach (var (key, status) in new[] { ("secre", HttpStatusCode.Unauthorized), ("secret", HttpStatusCode.OK), ("Secret", HttpStatusCode.Unauthorized) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "v2/models/echo");
            request.Headers.Authorization = new("Bearer", key);
            Assert.Equal(status, (await server.Http.SendAsync(request)).StatusCode);
        }
    }

    [Fact]
    public async Task WhoMayAskIsNotWhoMayLoadWhereThatHasKeysOfItsOwn()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows), o => { o.ApiKeys.Add("ask"); o.RepositoryKeys.Add("load"); });
        foreach (var (key, call, status) in new[]
        {
            ("ask", "v2/repository/models/m/load", HttpStatusCode.Unauthorized), ("load", "v2/repository/models/m/load", HttpStatusCode.BadRequest),
            ("ask", "v2/repository/index", HttpStatusCode.OK), ("load", "v2/repository/index", HttpStatusCode.OK), ("other", "v2/repository/index", HttpStatusCode.Unauthorized),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, call);
            request.Headers.Authorization = new("Bearer", key);
            Assert.Equal(status, (await server.Http.SendAsync(request)).StatusCode);
        }
    }

    [Fact]
    public async Task OverloadIs429AndALateDeadline504AndAClientThatHangsUpCancels()
    {
        using var gate = new SemaphoreSlim(0);
        await using var server = await LiveServer.StartAsync(
            m => m.AddModel<float[], float[]>("slow", b => b.UseBatchFunction(async (batch, sink, token) =>
            {
                await gate.WaitAsync(token);
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, batch[i]);
                }
            }).WithOptions(o => (o.MaxQueueLength, o.MaxBatchSize, o.Slo) = (1, 1, TimeSpan.FromHours(1)))),
            o => o.Map("slow", () => new ArrayEndpointCodec<float, float> { Signature = new([new TensorSpec("x", TensorElementType.Float32, [1])], [new TensorSpec("y", TensorElementType.Float32, [1])]) }));
        var monitor = server.Services.GetRequiredKeyedService<IModelMonitor>("slow");
        const string One = """{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}""";
        var running = server.Http.PostAsync("v2/models/slow/infer", Json(One));
        await Until(() => monitor.GetReport() is { Offered: 1, Waiting: 0 });
        using var hangUp = new CancellationTokenSource();
        var waiting = server.Http.PostAsync("v2/models/slow/infer", Json(One), hangUp.Token);
        await Until(() => monitor.GetReport().Waiting == 1);

        var refused = await server.Http.PostAsync("v2/models/slow/infer", Json(One));
        await AssertRefusedAsync(refused, HttpStatusCode.TooManyRequests, "its queue is full");
        Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));

        await hangUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Until(() => monitor.GetReport() is { Waiting: 0, Cancelled: 1 });

        await AssertRefusedAsync(
            await server.Http.PostAsync("v2/models/slow/infer", Json("""{"parameters":{"timeout":20000},""" + One[1..])), HttpStatusCode.GatewayTimeout, "the deadline cannot be met");
        gate.Release();
        Assert.Equal(HttpStatusCode.OK, (await running).StatusCode);
    }

    [Fact]
    public async Task WhatTheModelFailsIs422AndABatchIsAnsweredTogether()
    {
        await using var server = await LiveServer.StartAsync(
            m => m.AddModel<float[], float[]>("pair", b => b.UseBatchFunction((batch, sink, _) =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    if (batch[i][0] < 0)
                    {
                        sink.SetError(i, new InvalidDataException("it is negative"));
                    }
                    else
                    {
                        sink.SetResult(i, batch[i]);
                    }
                }
                return ValueTask.CompletedTask;
            })), TestModels.MapPair);
        await AssertRefusedAsync(
            await server.Http.PostAsync("v2/models/pair/infer", Json("""{"inputs":[{"name":"pair","shape":[2,2],"datatype":"FP32","data":[1,2,-1,2]}]}""")), HttpStatusCode.UnprocessableEntity, "it is negative");
        var answer = await ReadAsync(await server.Http.PostAsync("v2/models/pair/infer", Json("""{"inputs":[{"name":"pair","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}]}""")));
        Assert.Equal([1f, 2, 3, 4], answer.GetProperty("outputs")[0].GetProperty("data").EnumerateArray().Select(v => v.GetSingle()));
        var stats = (await ReadAsync(await server.Http.GetAsync("v2/models/pair/stats"))).GetProperty("model_stats")[0];
        Assert.Equal((1, 1), (stats.GetProperty("inference_stats").GetProperty("success").GetProperty("count").GetInt32(), stats.GetProperty("inference_stats").GetProperty("fail").GetProperty("count").GetInt32()));
        Assert.True(stats.GetProperty("inference_count").GetInt32() >= 3);
        Assert.Single((await ReadAsync(await server.Http.GetAsync("v2/models/stats"))).GetProperty("model_stats").EnumerateArray());
    }

    [Fact]
    public async Task ItemsWhoseOutputsDifferInShapeAreRefusedTogether()
    {
        await using var server = await LiveServer.StartAsync(
            m => m.AddModel<float[], float[]>("grow", b => b.UseBatchFunction((batch, sink, _) =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, new float[(int)batch[i][0]]);
                }
                return ValueTask.CompletedTask;
            })),
            o => o.Map("grow", () => new ArrayEndpointCodec<float, float> { Signature = new([new TensorSpec("x", TensorElementType.Float32, [1])], [new TensorSpec("y", TensorElementType.Float32, [-1])]) }));
        await AssertRefusedAsync(
            await server.Http.PostAsync("v2/models/grow/infer", Json("""{"inputs":[{"name":"x","shape":[2,1],"datatype":"FP32","data":[1,2]}]}""")), HttpStatusCode.BadRequest, "outputs.y");
        Assert.Contains("\"shape\":[2,3]", await (await server.Http.PostAsync("v2/models/grow/infer", Json("""{"inputs":[{"name":"x","shape":[2,1],"datatype":"FP32","data":[3,3]}]}"""))).Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PredictV1ByRowsAndByColumns()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddPair().AddEcho("echo", new TensorSpec("a", TensorElementType.Int64, [2, 1]), new TensorSpec("b", TensorElementType.String, [])), TestModels.MapPair);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v1/models/pair")).StatusCode);
        Assert.Equal("""{"predictions":[[3,2],[7,12]]}""", await PostAsync("v1/models/pair:predict", """{"instances":[[1,2],[3,4]]}"""));
        Assert.Equal("""{"predictions":[[3,2]]}""", await PostAsync("v1/models/pair/versions/1:predict", """{"instances":[{"pair":[1,2]}]}"""));
        Assert.Equal("""{"outputs":[[3,2]]}""", await PostAsync("v1/models/pair:predict", """{"inputs":[[1,2]]}"""));
        Assert.Equal("""{"predictions":[{"y_a":[[1],[2]],"y_b":"hi"}]}""", await PostAsync("v1/models/echo:predict", """{"instances":[{"a":[[1],[2]],"b":"hi"}]}"""));
        Assert.Equal("""{"outputs":{"y_a":[[[1],[2]]],"y_b":["hi"]}}""", await PostAsync("v1/models/echo:predict", """{"inputs":{"a":[[[1],[2]]],"b":["hi"]}}"""));
        await AssertRefusedAsync(await server.Http.PostAsync("v1/models/pair:predict", Json("""{"instances":[[1,2,3]]}""")), HttpStatusCode.BadRequest, "instances");
        await AssertRefusedAsync(await server.Http.PostAsync("v1/models/pair:predict", Json("""{"instances":[[1,2],[3]]}""")), HttpStatusCode.BadRequest, "instances[1]");
        await AssertRefusedAsync(await server.Http.PostAsync("v1/models/echo:predict", Json("""{"instances":[{"a":[[1],[2]]}]}""")), HttpStatusCode.BadRequest, "no 'b'");
        await AssertRefusedAsync(await server.Http.PostAsync("v1/models/pair:predict", Json("{}")), HttpStatusCode.BadRequest, "neither instances nor inputs");

        async Task<string> PostAsync(string path, string json)
        {
            using var response = await server.Http.PostAsync(path, Json(json));
            return await response.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task RandomBodiesAre400AndNever500()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", Rows));
        var random = new Random(5);
        var good = Messages.Utf8("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"outputs":[{"name":"y_x"}]}""");
        for (var i = 0; i < 500; i++)
        {
            var body = i % 2 == 0 ? new byte[random.Next(200)] : (byte[])good.Clone();
            if (i % 2 == 0)
            {
                random.NextBytes(body);
            }
            else
            {
                body[random.Next(body.Length)] = (byte)random.Next(256);
            }
            using var content = new ByteArrayContent(body);
            if (i % 3 == 0)
            {
                content.Headers.Add("Inference-Header-Content-Length", random.Next(-2, 210).ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
            using var response = await server.Http.PostAsync("v2/models/echo/infer", content);
            Assert.True(response.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{response.StatusCode} to {Convert.ToHexString(body)}");
        }
    }

    [Fact]
    public async Task AModelWhoseTypesNothingMapsFailsAtStart()
    {
        var missing = await Assert.ThrowsAsync<ServingException>(() => LiveServer.StartAsync(m => m.AddModel<int, int>("odd", b => b.UseBatchFunction((_, _, _) => ValueTask.CompletedTask))));
        Assert.Contains("'odd' takes Int32", missing.Message, StringComparison.Ordinal);
        var unknown = await Assert.ThrowsAsync<ServingException>(() => LiveServer.StartAsync(m => m.AddPair(), o => o.Hide("other")));
        Assert.Contains("'other'", unknown.Message, StringComparison.Ordinal);
        await using var hidden = await LiveServer.StartAsync(m => m.AddModel<int, int>("odd", b => b.UseBatchFunction((_, _, _) => ValueTask.CompletedTask)), o => o.Hide("odd"));
        Assert.Equal(HttpStatusCode.NotFound, (await hidden.Http.GetAsync("v2/models/odd")).StatusCode);
    }

    private static async Task Until(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Yield();
        }
    }
}
