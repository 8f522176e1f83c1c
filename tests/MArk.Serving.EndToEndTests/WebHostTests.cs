using System.Diagnostics;
using System.Globalization;

namespace MArk.Serving.EndToEndTests;

/// <summary>The web host as people run it: its curl line works, and its workers end with it, also where it is killed.</summary>
public sealed class WebHostTests
{
    [Fact]
    public async Task TheCurlLineWorksAndTheWorkersEndWithTheHostThatIsKilled()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Skip("Only on Linux do workers end where their host is killed.");
        }
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "WebHost.dll"));
        start.ArgumentList.Add("--port");
        start.ArgumentList.Add("0");
        using var host = Process.Start(start)!;
        try
        {
            var error = host.StandardError.ReadToEndAsync();
            var line = "";
            while (!line.Contains("curl", StringComparison.Ordinal))
            {
                line = await host.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"The host ended: {await error}");
            }
            // The line as it stands, by a shell.
            Assert.Matches("""^\{"digit":\d\}$""", await RunAsync("sh", "-c", line.Trim()));
            var workers = (await RunAsync("ps", "-o", "pid=", "--ppid", host.Id.ToString(CultureInfo.InvariantCulture))).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(3, workers.Length);
            host.Kill();
            await host.WaitForExitAsync();
            using var tooLong = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (Array.Exists(workers, worker => Directory.Exists($"/proc/{worker}")))
            {
                await Task.Delay(10, tooLong.Token);
            }
        }
        finally
        {
            if (!host.HasExited)
            {
                host.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return output.Trim();
    }
}
