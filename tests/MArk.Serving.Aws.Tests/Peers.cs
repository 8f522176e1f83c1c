namespace MArk.Serving.Aws.Tests;

/// <summary>Programs of others that tests run against: where one is absent, its tests are skipped, unless the environment demands it.</summary>
internal static class Peers
{
    private static readonly bool AreRequired = Environment.GetEnvironmentVariable("MARK_REQUIRE_EMULATORS") == "1";

    public static void Require(bool isThere, string what)
    {
        Assert.False(!isThere && AreRequired, $"{what} is required, and not there.");
        Assert.SkipUnless(isThere, $"{what} is not installed.");
    }
}
