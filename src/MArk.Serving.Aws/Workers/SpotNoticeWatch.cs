using MArk.Serving.OpenInference;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws.Workers;

/// <summary>Reads the machine's metadata until it says that the machine is taken away, and then has the server drain.</summary>
internal sealed class SpotNoticeWatch(IOptions<SpotNoticeOptions> options, ServerDrain drain, TimeProvider time, ILogger<SpotNoticeWatch> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var metadata = new InstanceMetadata(options.Value, time);
        var isReadable = true;
        while (true)
        {
            try
            {
                if (await metadata.ReadInterruptionAsync(stoppingToken).ConfigureAwait(false) is { } at)
                {
                    if (drain.EndsAt != at)
                    {
                        AwsLog.NoticeHad(logger, at);
                        drain.Begin(at);
                    }
                }
                isReadable = true;
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // Whatever it is: a worker that cannot read its metadata serves on.
                if (isReadable)
                {
                    AwsLog.NoMetadata(logger, e);
                }
                isReadable = false;
            }
            await Task.Delay(options.Value.Interval, time, stoppingToken).ConfigureAwait(false);
        }
    }
}
