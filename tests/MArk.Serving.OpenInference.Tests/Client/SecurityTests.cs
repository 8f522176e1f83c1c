using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MArk.Serving.DependencyInjection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference.Tests.Client;

/// <summary>Certificates of both sides, and keys that are not told.</summary>
public sealed class SecurityTests
{
    private static X509Certificate2 Certificate(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var own = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        return X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
    }

    [Theory]
    [InlineData(OpenInferenceForm.RestBinary, true)]
    [InlineData(OpenInferenceForm.Grpc, true)]
    [InlineData(OpenInferenceForm.RestBinary, false)]
    public async Task BothSidesShowTheirCertificates(OpenInferenceForm form, bool isKnown)
    {
        using var server = Certificate("server");
        using var known = Certificate("client");
        using var other = Certificate("other");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(server, https =>
        {
            https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
            https.ClientCertificateValidation = (certificate, _, _) => certificate.Thumbprint == known.Thumbprint;
        })));
        builder.Services.AddMArkServing().AddPair();
        builder.Services.AddOpenInferenceServer(TestModels.MapPair);
        await using var app = builder.Build();
        app.MapOpenInference();
        await app.StartAsync();
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        void Configure(SocketsHttpHandler handler) => handler.SslOptions = new SslClientAuthenticationOptions
        {
            ClientCertificates = [isKnown ? known : other],
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetCertHashString() == server.Thumbprint,
        };
        using var host = await RemoteModelTests.HostAsync(m => m
            .UseOpenInference(new OpenInferenceOptions { Model = "pair", Form = form, ConfigureHandler = Configure })
            .UseEndpoints(new EndpointsOptions { Endpoints = [address], Health = new HealthOptions { ConfigureHandler = Configure } })
            .WithOptions(o => o.Fleet.StartTimeout = isKnown ? o.Fleet.StartTimeout : TimeSpan.FromSeconds(2)));
        if (isKnown)
        {
            await RemoteModelTests.AssertServesAsync(host);
        }
        else
        {
            var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("pair");
            Assert.Equal(RejectionReason.NoCapacity, (await client.TryInferAsync([1, 2])).RejectionReason);
        }
        await host.StopAsync();
    }

    [Fact]
    public async Task AKeyIsNotTold()
    {
        const string Secret = "s3cr3t-k3y";
        var options = new OpenInferenceOptions { Model = "pair", ApiKey = Secret };
        Assert.DoesNotContain(Secret, options.ToString(), StringComparison.Ordinal);
        var serverOptions = new OpenInferenceServerOptions();
        serverOptions.ApiKeys.Add(Secret);
        Assert.DoesNotContain(Secret, serverOptions.ToString(), StringComparison.Ordinal);
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), o => { TestModels.MapPair(o); o.ApiKeys.Add("another"); });
        var factory = new OpenInferenceRunnerFactory<float[], float[]>(options, new MArk.Serving.Tensors.SingleTensorCodec<float, float>());
        var refused = await Assert.ThrowsAsync<ModelLoadException>(async () => await factory.ConnectAsync(
            new InstanceDescriptor { Id = "i", LaunchId = "l", OfferingName = "o", Endpoint = server.Address }, CancellationToken.None));
        Assert.Contains("401", refused.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, refused.ToString(), StringComparison.Ordinal);
    }
}
