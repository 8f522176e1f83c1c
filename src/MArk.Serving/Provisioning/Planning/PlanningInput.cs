using System.Globalization;

namespace MArk.Serving.Provisioning.Planning;

/// <summary>Checks what a planner is given.</summary>
internal static class PlanningInput
{
    /// <exception cref="InvalidProvisioningInputException">Something cannot be planned from; says what and what is accepted.</exception>
    public static void Check(in ProvisioningContext context, FleetPlan plan)
    {
        var forecast = context.Forecast ?? throw Bad(nameof(context.Forecast), "there is none; accepted is a forecast.");
        Require(context.Offerings.Length > 0, nameof(context.Offerings), $"there are none; accepted is at least 1.");
        Require(plan.Horizon == forecast.Horizon && plan.Offerings == context.Offerings.Length, "plan",
            $"it has {plan.Horizon} steps of {plan.Offerings} offerings; accepted are {forecast.Horizon} steps of {context.Offerings.Length}, as in the context.");
        Require(context.MinInstances >= 0, nameof(context.MinInstances), $"{context.MinInstances}; accepted is 0 or more.");
        Require(context.MaxInstances >= context.MinInstances, nameof(context.MaxInstances), $"{context.MaxInstances}; accepted is MinInstances, {context.MinInstances}, or more.");
        Require(context.SpilloverPricePerRequest is null or (>= 0 and < 1e9), nameof(context.SpilloverPricePerRequest), $"{context.SpilloverPricePerRequest}; accepted is 0 to 1e9, or nothing.");
        Require(context.ServiceLevel is > 0 and < 1, nameof(context.ServiceLevel), $"{context.ServiceLevel}; accepted is more than 0 and less than 1.");
        Require(context.MaxHourlySpend is null or >= 0, nameof(context.MaxHourlySpend), $"{context.MaxHourlySpend}; accepted is 0 or more, or nothing.");
        Require(context.Burstiness >= 0 && double.IsFinite(context.Burstiness), nameof(context.Burstiness), $"{context.Burstiness}; accepted is a finite number of 0 or more.");
        foreach (var offering in context.Offerings)
        {
            Check(offering);
        }
        for (var t = 0; t < forecast.Horizon; t++)
        {
            var previous = 0.0;
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                var value = forecast.Quantile(level)[t];
                if (!(double.IsFinite(value) && value >= previous))
                {
                    throw Bad(nameof(context.Forecast), FormattableString.Invariant(
                        $"{value} requests/s at quantile {forecast.Levels[level]} of step {t}; accepted is a finite number not below {previous}."));
                }
                previous = value;
            }
        }
    }

    private static void Check(in OfferingState state)
    {
        const string Input = nameof(ProvisioningContext.Offerings);
        var name = state.Offering?.Name ?? throw Bad(Input, "one is missing; accepted is an offering.");
        Require(double.IsFinite(state.Capacity) && state.Capacity >= 0, Input, $"'{name}' has a capacity of {state.Capacity} requests/s; accepted is a finite number of 0 or more.");
        Require(state.Offering.PricePerHour >= 0, Input, $"'{name}' has a price of {state.Offering.PricePerHour} dollars an hour; accepted is 0 or more.");
        Require(state.LaunchDelay >= TimeSpan.Zero, Input, $"'{name}' has a launch delay of {state.LaunchDelay}; accepted is 00:00:00 or more.");
        Require(state.Offering.MinimumBilling >= TimeSpan.Zero, Input, $"'{name}' has a minimum billing of {state.Offering.MinimumBilling}; accepted is 00:00:00 or more.");
        Require(state.Offering.MaxInstances >= 0, Input, $"'{name}' has at most {state.Offering.MaxInstances} instances; accepted is 0 or more.");
        if (OfferingRules.Violation(state.Offering) is { } violation)
        {
            throw Bad(Input, violation);
        }
        Require(state.Offering.Market != InstanceMarket.Standby, Input, $"'{name}' is of market Standby; accepted are offerings that can be planned.");
        Require(state.Ready >= 0 && state.Launching >= 0, Input, $"'{name}' has {state.Ready} instances that serve and {state.Launching} on their way; accepted is 0 or more.");
        Require(state.LaunchingReadyIn is not { } left || left >= TimeSpan.Zero, Input, $"'{name}' has instances on their way that serve in {state.LaunchingReadyIn}; accepted is 00:00:00 or more.");
        Require(state.Service is not { } s || (s.BatchSize >= 1 && s.BatchTime > TimeSpan.Zero && s.Slack >= TimeSpan.Zero), Input,
            $"'{name}' serves as {state.Service}; accepted is a batch of 1 or more, a time of more than zero and a slack of zero or more.");
    }

    private static void Require(bool holds, string input, FormattableString message)
    {
        if (!holds)
        {
            throw Bad(input, message.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static InvalidProvisioningInputException Bad(string input, string message) => new(input, message);
}
