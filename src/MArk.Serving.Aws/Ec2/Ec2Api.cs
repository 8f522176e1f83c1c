using Amazon;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;

namespace MArk.Serving.Aws.Ec2;

/// <summary>The calls of EC2 that are used, and no others: what fails is told by <see cref="AwsRequestException"/>.</summary>
internal sealed class Ec2Api(IAmazonEC2 client) : IDisposable
{
    private const int MostOfSpotRequests = 200;      // EC2's own limit of values for a filter

    /// <summary>Speaks by the host's client, or by one with the SDK's default credentials.</summary>
    /// <exception cref="ServingException">There are no credentials, or there is no region: the SDK asks for both as it makes a client.</exception>
    public static Ec2Api Create(Ec2Options options, string model)
    {
        try
        {
            return new Ec2Api(options.Client?.Invoke() ?? new AmazonEC2Client(ConfigOf(options)));
        }
        catch (AmazonClientException e)
        {
            throw new ServingException($"Model '{model}': there is no client of EC2. It needs credentials that the SDK finds, and a region, MArk:Models:{model}:Ec2:Region. The SDK said: {e.Message}", e);
        }
    }

    /// <summary>How a client is set up that backs off by itself where it is throttled.</summary>
    public static AmazonEC2Config ConfigOf(Ec2Options options)
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
        return config;
    }

    public string? Region => client.Config.RegionEndpoint?.SystemName ?? client.Config.AuthenticationRegion;

    /// <summary>Launches one machine.</summary>
    /// <returns>Its identifier.</returns>
    public async Task<string> RunAsync(RunInstancesRequest request, CancellationToken cancellationToken)
    {
        var answer = await Guard("ec2:RunInstances", client.RunInstancesAsync(request, cancellationToken), cancellationToken).ConfigureAwait(false);
        return answer.Reservation?.Instances?.FirstOrDefault()?.InstanceId ?? throw new AwsRequestException("ec2:RunInstances", null, "the answer names no machine.");
    }

    /// <summary>Launches machines from one of several pools.</summary>
    public Task<CreateFleetResponse> CreateFleetAsync(CreateFleetRequest request, CancellationToken cancellationToken) => Guard("ec2:CreateFleet", client.CreateFleetAsync(request, cancellationToken), cancellationToken);

    /// <summary>All machines that have exactly some tags, for about an hour also those that are ended.</summary>
    public async Task<List<Instance>> DescribeAsync(IReadOnlyCollection<(string Tag, string Value)> tags, CancellationToken cancellationToken)
    {
        var request = new DescribeInstancesRequest
        {
            MaxResults = 1000,
            Filters = [.. tags.Select(t => new Filter($"tag:{t.Tag}", [Literal(t.Value)]))],
        };
        var instances = new List<Instance>();
        do
        {
            var page = await Guard("ec2:DescribeInstances", client.DescribeInstancesAsync(request, cancellationToken), cancellationToken).ConfigureAwait(false);
            // Whose machines they are is not left to a filter: what is not ours is never ended.
            instances.AddRange((page.Reservations ?? []).SelectMany(r => r.Instances ?? []).Where(i => tags.All(t => Ec2Tags.Find(i, t.Tag) == t.Value)));
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
            do
            {
                var page = await Guard("ec2:DescribeSpotInstanceRequests", client.DescribeSpotInstanceRequestsAsync(request, cancellationToken), cancellationToken).ConfigureAwait(false);
                requests.AddRange(page.SpotInstanceRequests ?? []);
                request.NextToken = page.NextToken;
            }
            while (!string.IsNullOrEmpty(request.NextToken));
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
            var page = await Guard("ec2:DescribeSpotPriceHistory", client.DescribeSpotPriceHistoryAsync(request, cancellationToken), cancellationToken).ConfigureAwait(false);
            prices.AddRange(page.SpotPriceHistory ?? []);
            request.NextToken = page.NextToken;
        }
        while (!string.IsNullOrEmpty(request.NextToken));
        return prices;
    }

    public Task TerminateAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:TerminateInstances", client.TerminateInstancesAsync(new TerminateInstancesRequest { InstanceIds = [instanceId] }, cancellationToken), cancellationToken);

    public Task StopAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:StopInstances", client.StopInstancesAsync(new StopInstancesRequest { InstanceIds = [instanceId] }, cancellationToken), cancellationToken);

    public Task StartAsync(string instanceId, CancellationToken cancellationToken) =>
        Guard("ec2:StartInstances", client.StartInstancesAsync(new StartInstancesRequest { InstanceIds = [instanceId] }, cancellationToken), cancellationToken);

    public void Dispose() => client.Dispose();

    /// <summary>A filter's values have wildcards, which a backslash takes their meaning ("Filter your Amazon EC2 resources", EC2 user guide).</summary>
    private static string Literal(string value) => value.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("*", @"\*", StringComparison.Ordinal).Replace("?", @"\?", StringComparison.Ordinal);

    private static async Task<T> Guard<T>(string action, Task<T> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call.ConfigureAwait(false);
        }
        // What the SDK throws and lets through, of the network, of credentials and of answers that are none, is not told by its types alone: whatever it is, the call has failed.
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AwsRequestException(action, Ec2Errors.CodeOf(e), Ec2Errors.Explain(action, e), e);
        }
    }
}
