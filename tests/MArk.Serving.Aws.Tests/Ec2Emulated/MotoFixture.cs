using CloudHost.Emulators;
using MArk.Serving.Aws.Tests.Ec2Emulated;

[assembly: AssemblyFixture(typeof(MotoFixture))]

namespace MArk.Serving.Aws.Tests.Ec2Emulated;

/// <summary>One emulated EC2 for all tests, with a launch template; each test has an owner of its own.</summary>
public sealed class MotoFixture : IAsyncLifetime
{
    internal const string Template = "workers";

    private MotoServer? _moto;

    internal MotoServer Moto
    {
        get
        {
            Peers.Require(_moto is not null, MotoServer.Program);
            return _moto!;
        }
    }

    internal string Image { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        if (MotoServer.IsInstalled)
        {
            _moto = await MotoServer.StartAsync();
            using var client = _moto.CreateClient();
            Image = await MotoServer.FindImageAsync(client);
            await MotoServer.CreateLaunchTemplateAsync(client, Template);
        }
    }

    public ValueTask DisposeAsync() => _moto?.DisposeAsync() ?? ValueTask.CompletedTask;
}
