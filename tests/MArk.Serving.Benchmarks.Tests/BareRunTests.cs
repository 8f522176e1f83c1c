using System.Diagnostics;
using CsCheck;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Raw;

namespace MArk.Serving.Benchmarks.Tests;

public sealed class BareRunTests
{
    private static readonly long Millisecond = Stopwatch.Frequency / 1000;

    [Fact]
    public void TheRateIsThatOfAllThreadsTogether()
    {
        var run = new BareRun(batch: 4, At(100, 110, 120), At(103, 108, 113, 118));
        Assert.Equal(8 / 0.020 + 12 / 0.015, run.Rate, 1e-6);
    }

    [Fact]
    public void ASteadyLoopLeavesNothingBelowItsRateAndHalfAtTwiceTheRate()
    {
        var run = Steady(batches: 500);
        Assert.Equal(1, run.IdealShare(new PoissonArrivals(0.9 * run.Rate, 0, 2, seed: 1).Due, TimeSpan.FromMilliseconds(20)), 0.001);
        Assert.Equal(0.5, run.IdealShare(new PoissonArrivals(2 * run.Rate, 0, 2, seed: 1).Due, TimeSpan.FromMilliseconds(20)), 0.02);
    }

    [Fact]
    public void WhatAPauseLastsBeyondTheObjectiveIsLost()
    {
        // Batches of 4 every 4 ms, and one that takes 104: one of its requests is done each 26 ms, one arrives each ms, and the next ones are done each ms again.
        var times = Enumerable.Range(0, 51).Select(i => 4L * i).Concat(Enumerable.Range(0, 50).Select(i => 304L + 4 * i));
        var run = new BareRun(batch: 4, At([.. times]));
        var due = Enumerable.Range(0, 480).Select(i => i * Millisecond).ToArray();
        // 104 arrive in the pause and 4 are done; the last 20 of them are in time afterwards, each 20 ms late, and all that follow too.
        Assert.Equal((480 - 80) / 480.0, run.IdealShare(due, TimeSpan.FromMilliseconds(20)), 2 / 480.0);
    }

    [Fact]
    public void NoOtherChoiceServesMore() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 30].Array[1, 8], Gen.Int[0, 120].Array[1, 14], Gen.Int[1, 40]).Sample((batch, lengths, arrivals, slo) =>
        {
            var times = new long[lengths.Length + 1];
            for (var i = 0; i < lengths.Length; i++)
            {
                times[i + 1] = times[i] + lengths[i] * batch;
            }
            long[] due = [.. arrivals.Order().Where(a => a + slo <= times[^1]).Select(a => a * Millisecond)];
            var done = lengths.SelectMany((length, i) => Enumerable.Range(1, batch).Select(k => (times[i] + length * k) * Millisecond)).ToArray();
            var most = due.Length == 0 ? 1 : MostMatched(due, done, slo * Millisecond) / (double)due.Length;
            Assert.Equal(most, new BareRun(batch, At(times)).IdealShare([.. arrivals.Order().Select(a => a * Millisecond)], TimeSpan.FromMilliseconds(slo)));
        });

    private static BareRun Steady(int batches) => new(batch: 8, At([.. Enumerable.Range(0, batches + 1).Select(i => 4L * i)]));

    private static long[] At(params long[] milliseconds) => Array.ConvertAll(milliseconds, ms => ms * Millisecond);

    /// <summary>The size of a greatest matching of requests with instants at which one is done, by augmenting paths.</summary>
    private static int MostMatched(long[] due, long[] done, long limit)
    {
        var taker = new int[done.Length];
        Array.Fill(taker, -1);
        return Enumerable.Range(0, due.Length).Count(request => Augment(request, new bool[done.Length]));

        bool Augment(int request, bool[] seen)
        {
            for (var i = 0; i < done.Length; i++)
            {
                if (seen[i] || done[i] < due[request] || done[i] > due[request] + limit)
                {
                    continue;
                }
                seen[i] = true;
                if (taker[i] < 0 || Augment(taker[i], seen))
                {
                    taker[i] = request;
                    return true;
                }
            }
            return false;
        }
    }
}
