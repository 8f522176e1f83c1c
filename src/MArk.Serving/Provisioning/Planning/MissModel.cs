namespace MArk.Serving.Provisioning.Planning;

/// <summary>What a request costs that the fleet cannot answer in time, and which are those.</summary>
/// <param name="PricePerRequest">US dollars.</param>
/// <param name="AllowedShare">The share of a step's requests that may miss at no price; 0 where every miss is paid for.</param>
/// <param name="Waiting">The wait; nothing where only what exceeds the capacity misses.</param>
internal readonly record struct MissModel(double PricePerRequest, double AllowedShare = 0, EffectiveDemand? Waiting = null);
