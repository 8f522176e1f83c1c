namespace MArk.Serving.Provisioning.Planning;

/// <summary>The share of requests that cannot begin in time on a number of servers, though the servers can carry the load on average.</summary>
/// <remarks>
/// M/M/c with balking at a wait of more than d (Barrer, Operations Research 5, 1957), whose loss has a closed form in Erlang's B: at d = 0 it is B itself, which does not depend
/// on the distribution of service times; without limit of d it is the overload (a - c) / a. Constant service times, and batches that collect b Poisson arrivals each, are taken
/// in by the heavy-traffic scaling of waits, (c_a^2 + c_s^2) / 2 = 1 / 2b (Allen and Cunneen), as for the wait of M/D/c in MArk: patience counts 2b-fold.
/// </remarks>
internal static class WaitingLoss
{
    /// <summary>The share of requests that miss.</summary>
    /// <param name="servers">Instances, not necessarily a whole number; at least 0.</param>
    /// <param name="load">What arrives, in instances fully used; more than 0.</param>
    /// <param name="patience">2b x how long a request may wait, in times of a batch; at least 0.</param>
    public static double Share(double servers, double load, double patience)
    {
        var blocked = ErlangB(servers, load);
        var spare = servers - load;
        var exponent = spare * patience;
        var waits = Math.Abs(exponent) < 1e-9 ? patience : Math.Exp(exponent) is var e && double.IsPositiveInfinity(e) ? e : (e - 1) / spare;
        return 1 / (1 + Math.Exp(exponent) * (1 - blocked) / blocked + servers * waits);
    }

    /// <summary>Erlang's loss formula, between whole numbers of servers by Rapp's parabola (Ericsson Technics 20, 1964).</summary>
    public static double ErlangB(double servers, double load)
    {
        var n = Math.Floor(servers);
        var x = servers - n;
        var d = (1 + load) * (1 + load) + load;
        var blocked = 1 - (load + 2) / d * x + x * x / ((1 + load) * d);
        for (var i = 1; i <= n; i++)
        {
            blocked = load * blocked / (x + i + load * blocked);
        }
        return Math.Max(blocked, 1e-300);
    }
}
