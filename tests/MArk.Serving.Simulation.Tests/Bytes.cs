using System.Text.Json;

namespace MArk.Serving.Simulation.Tests;

/// <summary>A simulation's result, history and all, as text: two that are the same have the same.</summary>
internal static class Bytes
{
    public static string Of(SimulationResult result) => JsonSerializer.Serialize(result);
}
