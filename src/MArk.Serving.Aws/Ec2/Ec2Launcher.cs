using System.Security.Cryptography;
using System.Text;
using Amazon.EC2;
using Amazon.EC2.Model;

namespace MArk.Serving.Aws.Ec2;

/// <summary>
/// Asks for one machine: of the types and subnets of its offering the first that has one. Each call carries a token that follows from the intended launch, so that one that is repeated, since its answer
/// was lost, never launches twice.
/// </summary>
internal sealed class Ec2Launcher(Ec2Api api, Ec2Options options, string model)
{
    /// <returns>The machine's identifier.</returns>
    /// <exception cref="InstanceLaunchException">There is none to be had, or the request is wrong.</exception>
    public async Task<string> LaunchAsync(Ec2Offering offering, LaunchRequest request, CancellationToken cancellationToken) =>
        offering is { Market: InstanceMarket.Spot, HasTemplate: true }
            ? await LaunchByFleetAsync(offering, request, cancellationToken).ConfigureAwait(false)
            : await LaunchOneByOneAsync(offering, request, cancellationToken).ConfigureAwait(false);

    private async Task<string> LaunchByFleetAsync(Ec2Offering offering, LaunchRequest request, CancellationToken cancellationToken)
    {
        CreateFleetResponse response;
        try
        {
            response = await api.CreateFleetAsync(FleetRequest(offering, request), cancellationToken).ConfigureAwait(false);
        }
        catch (AwsRequestException e)
        {
            throw new InstanceLaunchException(offering.Name, Ec2Errors.FailureOf(e), e.Message, e);
        }
        var launched = (response.Instances ?? []).SelectMany(i => i.InstanceIds ?? []).FirstOrDefault();
        if (launched is not null)
        {
            return launched;
        }
        // Each pool says why it has none. Where one may have some later, the launch is worth trying again.
        var errors = (response.Errors ?? []).DistinctBy(e => (e.ErrorCode, e.ErrorMessage)).ToList();
        var failure = errors.Count == 0 ? LaunchFailure.InsufficientCapacity : errors.Select(e => Ec2Errors.FailureOf(e.ErrorCode)).Min(Gravity).Failure;
        throw new InstanceLaunchException(offering.Name, failure, errors.Count == 0 ? "EC2 launched nothing, and gave no reason." : string.Join("; ", errors.Select(e => Ec2Errors.Explain("ec2:CreateFleet", e.ErrorCode, e.ErrorMessage))));

        static (int Rank, LaunchFailure Failure) Gravity(LaunchFailure failure) => (failure == LaunchFailure.Misconfigured ? 1 : 0, failure);
    }

    private async Task<string> LaunchOneByOneAsync(Ec2Offering offering, LaunchRequest request, CancellationToken cancellationToken)
    {
        var refused = new List<string>();
        AwsRequestException? last = null;
        foreach (var (type, subnet) in Pools(offering, request))
        {
            try
            {
                return await api.RunAsync(RunRequest(offering, request, type, subnet), cancellationToken).ConfigureAwait(false);
            }
            catch (AwsRequestException e) when (Ec2Errors.FailureOf(e) == LaunchFailure.InsufficientCapacity)
            {
                refused.Add($"{type}{(subnet is null ? "" : $" in {subnet}")}: {e.ErrorCode}");
                last = e;
            }
            catch (AwsRequestException e)
            {
                throw new InstanceLaunchException(offering.Name, Ec2Errors.FailureOf(e), e.Message, e);
            }
        }
        throw new InstanceLaunchException(offering.Name, LaunchFailure.InsufficientCapacity, $"none is to be had: {string.Join(", ", refused)}.", last);
    }

    /// <summary>Types in the order that was given, of each all subnets, beginning with another for each launch: machines spread over the zones.</summary>
    private static IEnumerable<(string Type, string? Subnet)> Pools(Ec2Offering offering, LaunchRequest request)
    {
        var first = offering.SubnetIds.Count == 0 ? 0 : SHA256.HashData(Encoding.UTF8.GetBytes(request.LaunchId))[0] % offering.SubnetIds.Count;
        return offering.InstanceTypes.Distinct().SelectMany(type => offering.SubnetIds.Count == 0
            ? [(type, null)]
            : Enumerable.Range(0, offering.SubnetIds.Count).Select(i => (type, (string?)offering.SubnetIds[(first + i) % offering.SubnetIds.Count])));
    }

    private RunInstancesRequest RunRequest(Ec2Offering offering, LaunchRequest request, string type, string? subnet)
    {
        var run = new RunInstancesRequest
        {
            MinCount = 1,
            MaxCount = 1,
            InstanceType = InstanceType.FindValue(type),
            SubnetId = subnet,
            ClientToken = Token(request, type, subnet),
            TagSpecifications = [Ec2Tags.Of(options, model, request)],
            // One that shuts itself down is gone, unless it is one that is stopped and started.
            InstanceInitiatedShutdownBehavior = offering.Market == InstanceMarket.Standby ? ShutdownBehavior.Stop : ShutdownBehavior.Terminate,
        };
        if (offering.Market == InstanceMarket.Spot)
        {
            run.InstanceMarketOptions = new InstanceMarketOptionsRequest
            {
                MarketType = MarketType.Spot,
                SpotOptions = new SpotMarketOptions { SpotInstanceType = SpotInstanceType.OneTime, InstanceInterruptionBehavior = InstanceInterruptionBehavior.Terminate },
            };
        }
        if (offering.HasTemplate)
        {
            run.LaunchTemplate = new LaunchTemplateSpecification { LaunchTemplateId = offering.LaunchTemplateId, LaunchTemplateName = offering.LaunchTemplateName, Version = offering.LaunchTemplateVersion };
            return run;
        }
        run.ImageId = offering.ImageId;
        run.SecurityGroupIds = offering.SecurityGroupIds.Count == 0 ? null : [.. offering.SecurityGroupIds];
        run.KeyName = offering.KeyName;
        run.IamInstanceProfile = offering.InstanceProfile is not { } profile ? null
            : profile.StartsWith("arn:", StringComparison.Ordinal) ? new IamInstanceProfileSpecification { Arn = profile } : new IamInstanceProfileSpecification { Name = profile };
        run.UserData = offering.UserData is { } data ? Convert.ToBase64String(Encoding.UTF8.GetBytes(data)) : null;
        run.MetadataOptions = new InstanceMetadataOptionsRequest { HttpTokens = HttpTokensState.Required };
        return run;
    }

    private CreateFleetRequest FleetRequest(Ec2Offering offering, LaunchRequest request) => new()
    {
        Type = FleetType.Instant,
        ClientToken = Token(request, "", null),
        TargetCapacitySpecification = new TargetCapacitySpecificationRequest { TotalTargetCapacity = 1, DefaultTargetCapacityType = DefaultTargetCapacityType.Spot },
        SpotOptions = new SpotOptionsRequest { AllocationStrategy = SpotAllocationStrategy.PriceCapacityOptimized, InstanceInterruptionBehavior = SpotInstanceInterruptionBehavior.Terminate },
        TagSpecifications = [Ec2Tags.Of(options, model, request)],
        LaunchTemplateConfigs =
        [
            new FleetLaunchTemplateConfigRequest
            {
                LaunchTemplateSpecification = new FleetLaunchTemplateSpecificationRequest
                {
                    LaunchTemplateId = offering.LaunchTemplateId, LaunchTemplateName = offering.LaunchTemplateName, Version = offering.LaunchTemplateVersion,
                },
                Overrides = [.. Pools(offering, request).Select(pool => new FleetLaunchTemplateOverridesRequest { InstanceType = InstanceType.FindValue(pool.Type), SubnetId = pool.Subnet })],
            },
        ],
    };

    /// <summary>64 characters, as many as EC2 takes.</summary>
    private string Token(LaunchRequest request, string type, string? subnet) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{options.Owner}\n{request.Fleet}\n{request.LaunchId}\n{type}\n{subnet}")));
}
