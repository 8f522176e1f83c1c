using CsCheck;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>Lets a process die at the provider calls of a script, one after the other or several in a row, and checks what is left in the end.</summary>
/// <param name="run">Runs the script with crashes, by the number of the call.</param>
/// <param name="max">The most machines that the fleet may have.</param>
/// <param name="check">Checks that the fleet is as it should be.</param>
internal sealed class Crashes(Func<Dictionary<int, CrashEffect>, CrashWorld> run, int max, Action<CrashWorld> check)
{
    /// <summary>Several crashes of one run.</summary>
    /// <param name="lastCall">The last call that one may be at.</param>
    public static Gen<Dictionary<int, CrashEffect>> Gen(int lastCall) =>
        CsCheck.Gen.Select(CsCheck.Gen.Int[1, lastCall], CsCheck.Gen.Int[0, 2], (call, effect) => (call, (CrashEffect)effect)).Array[2, 6]
            .Select(all => all.DistinctBy(c => c.call).ToDictionary(c => c.call, c => c.Item2));

    /// <summary>A run for each call there is.</summary>
    /// <returns>How many there are.</returns>
    public int AtEachCall(CrashEffect effect)
    {
        var calls = run([]).Calls;
        for (var call = 1; call <= calls; call++)
        {
            try
            {
                Check(new() { [call] = effect });
            }
            catch (Exception e)
            {
                throw new Xunit.Sdk.XunitException($"A crash at provider call {call} of {calls}, effect {effect}: {e.Message}", e);
            }
        }
        return calls;
    }

    public void Check(Dictionary<int, CrashEffect> crashes)
    {
        var world = run(crashes);
        // A launch that takes effect after the restart is one that nobody could know of.
        Assert.True(world.MostMachines <= max + crashes.Values.Count(e => e == CrashEffect.DoneLate), $"{world.MostMachines} machines at a time");
        check(world);
    }
}
