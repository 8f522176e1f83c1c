using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using MArk.Serving.OpenInference;

namespace CloudHost.Emulators;

/// <summary>A real worker with a model loaded: what emulated functions hand their events on to.</summary>
internal sealed class LoadedWorker : IAsyncDisposable
{
    private readonly EmulatorProcess _process;

    private LoadedWorker(EmulatorProcess process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    /// <param name="model">The model's name.</param>
    /// <param name="file">Its file.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<LoadedWorker> StartAsync(string model, string file, CancellationToken cancellationToken = default)
    {
        var address = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{EmulatorProcess.FreePort()}/"));
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Worker.dll")]);
        start.Environment["ASPNETCORE_URLS"] = address.AbsoluteUri;
        start.Environment["Worker__AllowedSources__0"] = new Uri(Path.GetDirectoryName(file)! + "/").AbsoluteUri;
        var worker = new LoadedWorker(await EmulatorProcess.StartAsync(start, new Uri(address, "v2/health/live"), cancellationToken), address);
        try
        {
            var artifact = ModelArtifact.OfFile(file, "1");
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address };
            using var loaded = await http.PostAsJsonAsync(
                $"v2/repository/models/{model}/load", new { parameters = new { uri = artifact.Uri, sha256 = artifact.Sha256, version = artifact.Version } }, cancellationToken);
            loaded.EnsureSuccessStatusCode();
            return worker;
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
