using System.Diagnostics;
using System.Globalization;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;

namespace CloudHost.Emulators;

/// <summary>EC2 as <c>moto_server</c> emulates it: machines that are only listed.</summary>
internal sealed class MotoServer : IAsyncDisposable
{
    public const string Program = "moto_server";
    public const string Region = "us-east-1";

    private readonly EmulatorProcess _process;

    private MotoServer(EmulatorProcess process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    /// <summary>Whether the program is there.</summary>
    public static bool IsInstalled => EmulatorProcess.Find(Program) is not null;

    public static async Task<MotoServer> StartAsync(CancellationToken cancellationToken = default)
    {
        var port = EmulatorProcess.FreePort();
        var address = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/"));
        var program = EmulatorProcess.Find(Program) ?? throw new EmulatorException($"There is no {Program} on the path; install it with 'pip install moto[server]'.");
        var start = new ProcessStartInfo(program, ["-H", "127.0.0.1", "-p", port.ToString(CultureInfo.InvariantCulture)]);
        // As EC2 does: what is launched must exist.
        start.Environment["MOTO_ENABLE_AMI_VALIDATION"] = "true";
        start.Environment["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true";
        return new MotoServer(await EmulatorProcess.StartAsync(start, new Uri(address, "moto-api/"), cancellationToken), address);
    }

    /// <summary>A client of it. It takes any credentials.</summary>
    public IAmazonEC2 CreateClient() => new AmazonEC2Client(new BasicAWSCredentials("emulated", "emulated"), new AmazonEC2Config { ServiceURL = Address.AbsoluteUri, AuthenticationRegion = Region });

    /// <summary>An image to launch.</summary>
    public static async Task<string> FindImageAsync(IAmazonEC2 client, CancellationToken cancellationToken = default) =>
        (await client.DescribeImagesAsync(new DescribeImagesRequest(), cancellationToken)).Images[0].ImageId;

    public static async Task CreateLaunchTemplateAsync(IAmazonEC2 client, string name, CancellationToken cancellationToken = default) => await client.CreateLaunchTemplateAsync(
        new CreateLaunchTemplateRequest { LaunchTemplateName = name, LaunchTemplateData = new RequestLaunchTemplateData { ImageId = await FindImageAsync(client, cancellationToken), InstanceType = InstanceType.C5Large } },
        cancellationToken);

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
