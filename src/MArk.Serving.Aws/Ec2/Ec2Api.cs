using Amazon;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;

namespace MArk.Serving.Aws.Ec2;

/// <summary>The calls of EC2 that are used, and no others: what fails is told by <see cref="AwsRequestException"/>.</summary>
internal sealed class Ec2Api(IAmazonEC2 client) : IDisposable
{
    private const int MostOfSpotRequests = 200;      // EC2's own limit of values for a filter

    /// <summary>A client with the SDK's default credentials, which backs off by itself where it is throttled.</summary>
    public static IAmazonEC2 CreateClient(Ec2Options options)
    {
        var config = new AmazonEC2Config { RetryMode = RequestRetryMode.Adaptive, MaxErrorRetry = 4 };
        if (options.Region is { } region)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }
        if (options.ServiceUrl is { } url)
        {
            config.ServiceURL = url.AbsoluteUri;
            config.AuthenticationRegion = options.Region;
        }
        return new AmazonEC2Client(config);
    }

    public string? Region => client.Config.RegionEndpoint?.SystemName ?? client.Config.AuthenticationRegion;

    /// <summary>Launches one machine.</summary>
    public async Task<Instance> RunAsync(RunInstancesRequest request, CancellationToken cancellationToken) =>
        (await Guard("ec2:RunInstances", client.RunInstancesAsync(request, cancellationToken)).ConfigureAwait(false)).Reservation.Instances[0];

    /// <summary>Launches machines from one of several pools.</summary>
    public Task<CreateFleetResponse> CreateFleetAsync(CreateFleetRequest request, CancellationToken cancellationToken) => Guard("ec2:CreateFleet", client.CreateFleetAsync(request, cancellationToken));

    /// <summary>All machines that have some tags and are not ended.</summary>
    public async Task<List<Instance>> DescribeAsync(IEnumerable<(string Tag, string Value)> tags, CancellationToken cancellationToken)
    {
        var request = new DescribeInstancesRequest
        {
            MaxResults = 1000,
            Filters =
            [
                .. tags.Select(t => new Filter($"tag:{t.Tag}", [t.Value])),
                new Filter("instance-state-name", [InstanceStateName.Pending, InstanceStateName.Running, InstanceStateName.Stopping, InstanceStateName.Stopped]),
            ],
        };
        var instances = new List<Instance>();
        do
        {
            var page = await Guard("ec2:DescribeInstances", client.DescribeInstancesAsync(request, cancellationToken)).ConfigureAwait(false);
            instances.AddRange((page.Reservations ?? []).SelectMany(r => r.Instances ?? []));
            request.NextToken = page.NextToken;
        }
        while (!string.IsNullOrEmpty(request.NextToken));
        return instances;
    }

    /// <summary>What becomes of spot machines.</summary>
    public async Task<List<SpotInstanceRequest>> DescribeSpotAsync(IReadOnlyCollection<string> instanceIds, CancellationToken cancellationToken)
    {
        var requests = new List<SpotInstanceRequest>();
        foreach (var some in instanceIds.Chunk(MostOfSpotRequests))
        {
            var request = new DescribeSpotInstanceRequestsRequest { Filters = [new Filter("instance-id", [.. some])] };
            var page = await Guard("ec2:DescribeSpotInstanceRequests", client.DescribeSpotInstanceRequestsAsync(request, cancellationToken)).ConfigureAwait(false);
            requests.AddRange(page.SpotInstanceRequests ?? []);
        }
        return requests;
    }

    /// <summary>What spot machines cost since some instant, by type and zone.</summary>
    public async Task<List<SpotPrice>> DescribeSpotPricesAsync(IEnumerable<string> instanceTypes, DateTimeOffset from, CancellationToken cancellationToken)
    {
        var request = new DescribeSpotPriceHistoryRequest { InstanceTypes = [.. instanceTypes.Distinct()], ProductDescriptions = ["Linux/UNIX"], StartTime = from.UtcDateTime };
        var prices = new List<SpotPrice>();
        do
        {
            var page = await Guard("ec2:DescribeSpotPriceHistory", client.DescribeSpotPriceHistoryAsync(request, cancellationToken)).ConfigureAwait(false);
            prices.AddRange(page.SpotPriceHistory ?? []);
            request.NextToken = page.NextToken;
        }
        while (!string.IsNullOrEmpty(request.NextToken));
        return prices;
    }

    public Task TerminateAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:TerminateInstances", client.TerminateInstancesAsync(new TerminateInstancesRequest { InstanceIds = [instanceId] }, cancellationToken));

    public Task StopAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:StopInstances", client.StopInstancesAsync(new StopInstancesRequest { InstanceIds = [instanceId] }, cancellationToken));

    public Task StartAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:StartInstances", client.StartInstancesAsync(new StartInstancesRequest { InstanceIds = [instanceId] }, cancellationToken));

    public void Dispose() => client.Dispose();

    private static async Task<T> Guard<T>(string action, Task<T> call)
    {
        try
        {
            return await call.ConfigureAwait(false);
        }
        // What the SDK throws, and what it lets through of the network.
        catch (Exception e) when (e is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException)
        {
            throw new AwsRequestException(action, Ec2Errors.CodeOf(e), Ec2Errors.Explain(action, e), e);
        }
    }
}
