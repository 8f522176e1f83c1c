using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.RegularExpressions;

namespace MArk.Serving.Aws.Tests.Emulators;

/// <summary>A real process of the worker sample, on a port of its own, with the digits model loaded.</summary>
internal sealed partial class WorkerProcess : IAsyncDisposable
{
    private readonly Process _process;

    private WorkerProcess(Process process) => _process = process;

    public static string ModelFile { get; } = Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx");

    public Uri Address { get; private set; } = null!;

    [GeneratedRegex("Now listening on: (http://\\S+)")]
    private static partial Regex Listening { get; }

    public static async Task<WorkerProcess> StartAsync()
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Worker.dll"));
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["Worker__AllowedSources__0"] = new Uri(Path.GetDirectoryName(ModelFile)! + "/").AbsoluteUri;
        var worker = new WorkerProcess(Process.Start(start)!);
        try
        {
            var address = new TaskCompletionSource<Uri>();
            worker._process.OutputDataReceived += (_, line) =>
            {
                if (line.Data is null)
                {
                    address.TrySetException(new InvalidOperationException("The worker ended."));
                }
                else if (Listening.Match(line.Data) is { Success: true } match)
                {
                    address.TrySetResult(new Uri(match.Groups[1].Value));
                }
            };
            worker._process.BeginOutputReadLine();
            worker.Address = await address.Task.WaitAsync(TimeSpan.FromMinutes(1));
            using var http = new HttpClient { BaseAddress = worker.Address };
            var artifact = OpenInference.ModelArtifact.OfFile(ModelFile, "1");
            using var loaded = await http.PostAsJsonAsync("v2/repository/models/digits/load", new { parameters = new { uri = artifact.Uri, sha256 = artifact.Sha256, version = "1" } });
            loaded.EnsureSuccessStatusCode();
            return worker;
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
