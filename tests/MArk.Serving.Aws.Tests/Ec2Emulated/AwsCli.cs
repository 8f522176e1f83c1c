using System.Diagnostics;
using System.Text.Json;
using CloudHost.Emulators;

namespace MArk.Serving.Aws.Tests.Ec2Emulated;

/// <summary>AWS's own command line, as an outside judge of what there is.</summary>
internal static class AwsCli
{
    public static bool IsInstalled => EmulatorProcess.Find("aws") is not null;

    /// <summary>The machines that are not ended, with their states.</summary>
    public static async Task<IReadOnlyList<string>> MachinesAsync(MotoServer moto)
    {
        var start = new ProcessStartInfo(
            EmulatorProcess.Find("aws")!,
            [
                "ec2", "describe-instances", "--endpoint-url", moto.Address.AbsoluteUri, "--region", MotoServer.Region, "--output", "json",
                "--filters", "Name=instance-state-name,Values=pending,running,stopping,stopped", "--query", "Reservations[].Instances[].[InstanceId,State.Name]",
            ])
        { RedirectStandardOutput = true };
        start.Environment["AWS_ACCESS_KEY_ID"] = "emulated";
        start.Environment["AWS_SECRET_ACCESS_KEY"] = "emulated";
        start.Environment["AWS_PAGER"] = "";
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        return [.. JsonDocument.Parse(output).RootElement.EnumerateArray().Select(m => $"{m[0]} {m[1]}")];
    }
}
