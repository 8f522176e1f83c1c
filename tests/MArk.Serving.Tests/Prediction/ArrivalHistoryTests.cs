using System.Buffers.Binary;
using System.Security.Cryptography;
using CsCheck;
using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

public sealed class ArrivalHistoryTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private static ArrivalHistory Of(params (double Seconds, long Count)[] slots)
    {
        var history = new ArrivalHistory();
        foreach (var (seconds, count) in slots)
        {
            history.Add(new ArrivalSample(Noon.AddSeconds(seconds), Slot, count));
        }
        return history;
    }

    /// <summary>Whole minutes, one slot each, from noon on.</summary>
    private static ArrivalHistory OfMinutes(int count, int maxMinutes = ArrivalHistory.DefaultMaxMinutes, int maxHours = ArrivalHistory.DefaultMaxHours, int from = 0)
    {
        var history = new ArrivalHistory(maxMinutes, maxHours);
        for (var i = from; i < from + count; i++)
        {
            history.Add(OfMinute(i));
        }
        return history;
    }

    private static ArrivalSample OfMinute(int i) => new(Noon.AddMinutes(i), Minute, 60 * (i + 1)) { PeakRate = i + 1.5 };

    [Fact]
    public void SlotsBecomeMinutesOfAMeanAndAMaximum()
    {
        var history = new ArrivalHistory();
        for (var i = 0; i < 24; i++)
        {
            history.Add(new ArrivalSample(Noon + i * Slot, Slot, i));
        }
        Assert.Equal(
            [new(Noon, Minute, 66) { PeakRate = 11 / 5.0 }, new(Noon.AddMinutes(1), Minute, 210) { PeakRate = 23 / 5.0 }],
            history.Samples());
        Assert.Equal(210 / 60.0, history.Samples().Last().Rate);
        Assert.Equal((2, 0, Noon.AddMinutes(2)), (history.Minutes, history.Hours, history.End));
    }

    [Fact]
    public void AnEmptyHistoryIsEmpty()
    {
        var history = new ArrivalHistory();
        Assert.Empty(history.Samples());
        Assert.Equal((0, 0, DateTimeOffset.MinValue), (history.Minutes, history.Hours, history.End));
        Assert.Empty(ArrivalHistory.FromBytes(history.ToBytes()).Samples());
    }

    [Fact]
    public void AGapIsNotAZero()
    {
        var history = new ArrivalHistory();
        for (var i = 0; i < 36; i++)
        {
            // The second minute was counted and had no requests; the third was not counted.
            if (i is < 24 or >= 36)
            {
                history.Add(new ArrivalSample(Noon + i * Slot, Slot, i < 12 ? 1 : 0));
            }
        }
        history.Add(new ArrivalSample(Noon.AddMinutes(3), Minute, 7));
        Assert.Equal([(0, 12L), (1, 0L), (3, 7L)], history.Samples().Select(s => ((int)(s.Start - Noon).TotalMinutes, s.Count)));
        Assert.Equal(0, history.Samples().ElementAt(1).PeakRate);
    }

    [Fact]
    public void AMinuteOfWhichHalfWasCountedIsRaisedToTheWhole()
    {
        var history = Of((30, 1), (35, 2), (40, 3), (45, 0), (50, 0), (55, 0));
        Assert.Equal([new ArrivalSample(Noon, Minute, 12) { PeakRate = 3 / 5.0 }], history.Samples());
    }

    [Fact]
    public void AMinuteOfWhichLessWasCountedIsLeftOutAndNotForgotten()
    {
        var history = Of((30, 1), (35, 2), (40, 3), (45, 0), (50, 0));
        Assert.Empty(history.Samples());
        Assert.Equal(1, history.Minutes);
        // Counting is taken up again within the minute, after a restart.
        history = ArrivalHistory.FromBytes(history.ToBytes());
        history.Add(new ArrivalSample(Noon.AddSeconds(55), Slot, 4));
        Assert.Equal(20, Assert.Single(history.Samples()).Count);
    }

    [Fact]
    public void ASlotThatReachesOverMinutesCountsForEachByItsShare()
    {
        var history = new ArrivalHistory();
        history.Add(new ArrivalSample(Noon, TimeSpan.FromSeconds(150), 100));
        history.Add(new ArrivalSample(Noon.AddSeconds(150), TimeSpan.FromSeconds(30), 1));
        Assert.Equal([40, 40, 21], history.Samples().Select(s => s.Count));
        Assert.Equal(100 / 150.0, history.Samples().First().PeakRate);

        history = new ArrivalHistory();
        for (var i = 0; i < 60; i++)
        {
            history.Add(new ArrivalSample(Noon.AddSeconds(7 * i), TimeSpan.FromSeconds(7), 3));
        }
        Assert.Equal(180, history.Samples().Sum(s => s.Count));
        Assert.Equal(7, history.Minutes);
        Assert.All(history.Samples(), s => Assert.InRange(s.Count, 25, 27));
    }

    [Fact]
    public void ALongSlotWithFewRequestsKeepsThem()
    {
        var history = new ArrivalHistory();
        history.Add(new ArrivalSample(Noon, Hour, 1));
        Assert.Equal(60, history.Minutes);
        Assert.Equal(1, history.Samples().Sum(s => s.Count));
        Assert.Equal(history.Samples(), ArrivalHistory.FromBytes(history.ToBytes()).Samples());
    }

    [Fact]
    public void WhatNoLongerFitsBecomesHoursAndThenGoes()
    {
        var history = OfMinutes(5 * 60, maxMinutes: 120, maxHours: 2);
        // 13:00 and 14:00 in hours; 12:00 is gone; the last two hours in minutes.
        Assert.Equal((120, 2), (history.Minutes, history.Hours));
        Assert.Equal(
            [
                new(Noon.AddHours(1), Hour, 60 * Enumerable.Range(61, 60).Sum()) { PeakRate = 120.5 },
                new(Noon.AddHours(2), Hour, 60 * Enumerable.Range(121, 60).Sum()) { PeakRate = 180.5 },
                .. Enumerable.Range(180, 120).Select(OfMinute),
            ],
            history.Samples());
    }

    [Fact]
    public void AnHourOfWhichHalfWasCountedIsRaisedToTheWholeAndOneOfLessIsLeftOut()
    {
        var history = new ArrivalHistory(maxMinutes: 60, maxHours: 10);
        Fill(0, 30);
        Fill(60, 29);
        Fill(120, 120);
        Assert.Equal(3, history.Hours);
        Assert.Equal([(Noon, 60L), (Noon.AddHours(2), 60L)], history.Samples().Where(s => s.Length == Hour).Select(s => (s.Start, s.Count)));

        void Fill(int from, int count)
        {
            for (var i = from; i < from + count; i++)
            {
                history.Add(new ArrivalSample(Noon.AddMinutes(i), Minute, 1));
            }
        }
    }

    [Fact]
    public void AYearIsTwoWeeksOfMinutesAndHalfAYearOfHoursInAFewHundredKilobytes()
    {
        var history = OfMinutes(365 * 24 * 60);
        Assert.Equal((14 * 24 * 60, 180 * 24), (history.Minutes, history.Hours));
        var bytes = history.ToBytes();
        Assert.InRange(bytes.Length, 100_000, 400_000);
        Assert.Equal(history.Samples(), ArrivalHistory.FromBytes(bytes).Samples());
    }

    [Fact]
    public void AClockThatIsFarAheadForAWhileTakesNothingAway()
    {
        var history = OfMinutes(600);
        history.Add(new ArrivalSample(Noon.AddYears(70), Minute, 1));
        Assert.Equal(601, history.Samples().Count());
        Assert.True(history.CutAt(Noon.AddMinutes(700)));
        Assert.Equal(Enumerable.Range(0, 600).Select(OfMinute), history.Samples());
    }

    public static TheoryData<string, ArrivalSample, string> BadSamples => new()
    {
        { "length 0", new ArrivalSample(Noon.AddHours(1), TimeSpan.Zero, 1), "accepted: more than 00:00:00, at most 1.00:00:00" },
        { "length below 0", new ArrivalSample(Noon.AddHours(1), -Slot, 1), "accepted: more than 00:00:00, at most 1.00:00:00" },
        { "length above a day", new ArrivalSample(Noon.AddHours(1), TimeSpan.FromDays(1.1), 1), "accepted: more than 00:00:00, at most 1.00:00:00" },
        { "negative", new ArrivalSample(Noon.AddHours(1), Slot, -1), "a count of -1; accepted: 0 or more" },
        { "infinite peak", new ArrivalSample(Noon.AddHours(1), Slot, 1) { PeakRate = double.PositiveInfinity }, "accepted is a finite number" },
        { "the same again", new ArrivalSample(Noon.AddSeconds(5), Slot, 2), "begins before the last one ended; accepted: 2026-01-01T12:00:10" },
        { "overlapping", new ArrivalSample(Noon.AddSeconds(9.9), Slot, 2), "begins before the last one ended; accepted: 2026-01-01T12:00:10" },
        { "earlier", new ArrivalSample(Noon.AddHours(-1), Slot, 2), "begins before the last one ended; accepted: 2026-01-01T12:00:10" },
        { "end of time", new ArrivalSample(DateTimeOffset.MaxValue, Slot, 2), "up to the year 9999" },
    };

    [Theory]
    [MemberData(nameof(BadSamples))]
    public void ASlotThatIsNoneIsRefusedByNameAndNothingElseIsLost(string what, ArrivalSample bad, string accepted)
    {
        var history = Of((0, 1), (5, 2));
        var before = history.ToBytes();
        var error = Assert.Throws<InvalidArrivalSampleException>(() => history.Add(bad));
        Assert.True(error.Sample == bad && error.Message.Contains(accepted), $"{what}: {error.Message}");
        Assert.Equal(before, history.ToBytes());
        history.Add(new ArrivalSample(Noon.AddSeconds(10), Slot, 3));
        Assert.Equal(1, history.Minutes);
    }

    [Fact]
    public void CountsThatAreTooLargeToAddStayTheLargest()
    {
        var history = new ArrivalHistory(maxMinutes: 60);
        for (var i = 0; i < 90; i++)
        {
            history.Add(new ArrivalSample(Noon.AddMinutes(i), Minute, long.MaxValue));
        }
        Assert.All(history.Samples(), s => Assert.Equal(long.MaxValue, s.Count));
    }

    [Fact]
    public void AnotherTimeZoneIsTheSameInstant()
    {
        var history = Of((0, 1));
        history.Add(new ArrivalSample(Noon.AddSeconds(5).ToOffset(TimeSpan.FromHours(9)), Slot, 2));
        history.Add(new ArrivalSample(Noon.AddSeconds(10), Slot, 3));
        Assert.Equal(1, history.Minutes);
        Assert.Equal(Noon.AddSeconds(15), history.End);
    }

    [Theory]
    [InlineData(59, 0)]
    [InlineData(1_000_001, 0)]
    [InlineData(60, -1)]
    [InlineData(60, 1_000_001)]
    public void BoundsOutsideTheirRangeAreRefused(int minutes, int hours)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ArrivalHistory(minutes, hours));
        Assert.Throws<ArgumentOutOfRangeException>(() => ArrivalHistory.FromBytes(new ArrivalHistory().ToBytes(), minutes, hours));
    }

    private sealed class Recorder : IWorkloadPredictor
    {
        public List<ArrivalSample> Seen { get; } = [];

        public void Observe(in ArrivalSample sample) => Seen.Add(sample);

        public void Forecast(WorkloadForecast forecast) => throw new InvalidOperationException("It was not asked for one.");
    }

    [Fact]
    public void APredictorLearnsHoursThenMinutesUntilAnInstant()
    {
        var history = OfMinutes(181, maxMinutes: 60);
        var all = new Recorder();
        history.ReplayInto(all);
        // Two hours, the minutes of the third, and the one that has begun.
        Assert.Equal([Noon, Noon.AddHours(1), Noon.AddHours(2)], all.Seen.Where(s => s.Length == Hour).Select(s => s.Start));
        Assert.Equal([OfMinute(180)], all.Seen.Where(s => s.Length == Minute));
        Assert.All(all.Seen, s => Assert.True(s.PeakRate > s.Rate));

        var early = new Recorder();
        OfMinutes(10).ReplayInto(early, Noon.AddMinutes(3.5));
        Assert.Equal(Enumerable.Range(0, 3).Select(OfMinute), early.Seen);
        Assert.Throws<ArgumentNullException>(() => history.ReplayInto(null!));
    }

    [Theory]
    [InlineData(60, 60, false)]         // it ends when the clock says: nothing to cut
    [InlineData(90, 60, false)]
    [InlineData(29.5, 29, false)]       // the minute under way goes, and is no loss to speak of
    [InlineData(29, 29, true)]
    [InlineData(1.25, 1, true)]
    [InlineData(0, 0, true)]
    [InlineData(-1000000, 0, true)]
    public void WhatIsOfTheFutureIsCutToTheMinute(double minutes, int left, bool more)
    {
        var history = OfMinutes(minutes == 29.5 ? 30 : 60);
        Assert.Equal(more, history.CutAt(Noon.AddMinutes(minutes)));
        Assert.Equal(Enumerable.Range(0, left).Select(OfMinute), history.Samples());
        // What is counted now can be added.
        history.Add(new ArrivalSample(Noon.AddMinutes(minutes), Slot, 1));
    }

    [Fact]
    public void TheFutureIsCutFromHoursToo()
    {
        var history = OfMinutes(600, maxMinutes: 60);
        Assert.True(history.CutAt(Noon.AddMinutes(150)));
        Assert.Equal([Noon, Noon.AddHours(1)], history.Samples().Select(s => s.Start));
        Assert.Equal(Noon.AddMinutes(150), history.End);
    }

    [Fact]
    public void WhatWasCountedLaterIsAppended()
    {
        var history = OfMinutes(100);
        history.Append(OfMinutes(50, from: 90));
        Assert.Equal(Enumerable.Range(0, 140).Select(OfMinute), history.Samples());
        history.Append(new ArrivalHistory());
        Assert.Equal(Noon.AddMinutes(140), history.End);
        history.Append(OfMinutes(200, maxMinutes: 60, from: 180));
        // Of 14:00 only 20 minutes were counted.
        Assert.Equal(
            [Noon, Noon.AddHours(1), Noon.AddHours(3), Noon.AddHours(4), Noon.AddHours(5)],
            history.Samples().Where(s => s.Length == Hour).Select(s => s.Start));
        Assert.Equal(Noon.AddMinutes(380), history.End);

        var empty = new ArrivalHistory();
        empty.Append(OfMinutes(3));
        Assert.Equal(Enumerable.Range(0, 3).Select(OfMinute), empty.Samples());
    }

    /// <summary>Random slots of random lengths with gaps: ascending, bounded, nothing lost but what must be, and the same after it was written and read.</summary>
    [Fact]
    public void WhateverIsAddedComesOutInOrderWithinTheBoundsAndTheSameFromBytes()
    {
        var slot = Gen.Select(Gen.Int[1, 400], Gen.Int[0, 3], Gen.Int[0, 300], Gen.Int[0, 1000]);
        Gen.Select(slot.Array[0, 300], Gen.Int[60, 90], Gen.Int[0, 5]).Sample((slots, maxMinutes, maxHours) =>
        {
            var history = new ArrivalHistory(maxMinutes, maxHours);
            var at = Noon;
            var (counted, length) = (0L, TimeSpan.Zero);
            foreach (var (seconds, hasGap, gap, count) in slots)
            {
                at += hasGap == 0 ? TimeSpan.FromSeconds(gap) : TimeSpan.Zero;
                history.Add(new ArrivalSample(at, TimeSpan.FromSeconds(seconds), count));
                at += TimeSpan.FromSeconds(seconds);
                (counted, length) = (counted + count, length + TimeSpan.FromSeconds(seconds));
            }
            Assert.InRange(history.Minutes, 0, maxMinutes);
            Assert.InRange(history.Hours, 0, maxHours);
            AssertAscending(history);
            if (maxHours == 5 && history.Hours < 5)
            {
                // Nothing had to go: raised to the whole, it is at most twice what was counted.
                Assert.InRange(history.Samples().Sum(s => s.Count), 0, 2 * counted + history.Minutes);
            }
            var again = ArrivalHistory.FromBytes(history.ToBytes(), maxMinutes, maxHours);
            Assert.Equal(history.Samples(), again.Samples());
            Assert.Equal(history.ToBytes(), again.ToBytes());
            Assert.Equal((history.Minutes, history.Hours, history.End), (again.Minutes, again.Hours, again.End));
        }, iter: 300);
    }

    private static void AssertAscending(ArrivalHistory history)
    {
        var end = DateTimeOffset.MinValue;
        foreach (var sample in history.Samples())
        {
            Assert.True(sample.Start >= end && sample.Count >= 0 && sample.PeakRate >= sample.Rate, $"{sample} after {end:O}");
            end = sample.Start + sample.Length;
        }
    }

    /// <summary>Some hours, a gap, a zero, a partial minute: a little of everything.</summary>
    private static byte[] SmallFile()
    {
        var history = OfMinutes(125, maxMinutes: 60);
        history.Add(new ArrivalSample(Noon.AddMinutes(130), Minute, 0));
        history.Add(new ArrivalSample(Noon.AddMinutes(131), Slot, 3));
        return history.ToBytes();
    }

    [Fact]
    public void DamageAtAnyByteIsFoundOut()
    {
        var bytes = SmallFile();
        for (var at = 0; at < bytes.Length; at++)
        {
            foreach (var flip in (byte[])[1, 0x80, 0xFF])
            {
                bytes[at] ^= flip;
                Assert.Throws<ArrivalHistoryFormatException>(() => ArrivalHistory.FromBytes(bytes));
                bytes[at] ^= flip;
            }
        }
        Assert.Equal(2, ArrivalHistory.FromBytes(bytes).Hours);
    }

    [Fact]
    public void AFileThatIsCutShortOrGoesOnIsFoundOut()
    {
        var bytes = SmallFile();
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<ArrivalHistoryFormatException>(() => ArrivalHistory.FromBytes(bytes.AsSpan(0, length)));
        }
        Assert.Throws<ArrivalHistoryFormatException>(() => ArrivalHistory.FromBytes([.. bytes, 0]));
    }

    /// <summary>Whoever writes a checksum that holds may write nonsense before it: it is refused, or it is a history like any other.</summary>
    [Fact]
    public void NonsenseWithAChecksumThatHoldsIsRefusedOrHarmless()
    {
        var bytes = SmallFile();
        var refused = 0;
        for (var at = 12; at < bytes.Length - 32; at++)
        {
            foreach (var value in (byte[])[0, 1, 0x7F, 0x80, 0xFF])
            {
                byte[] changed = [.. bytes];
                changed[at] = value;
                Sign(changed);
                try
                {
                    var history = ArrivalHistory.FromBytes(changed);
                    AssertAscending(history);
                    history.Add(new ArrivalSample(history.End.AddHours(2), Slot, 1));
                    Assert.Equal(history.Samples(), ArrivalHistory.FromBytes(history.ToBytes()).Samples());
                }
                catch (ArrivalHistoryFormatException)
                {
                    refused++;
                }
            }
        }
        Assert.True(refused > 50, $"{refused}");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(-1)]
    public void AnotherVersionIsSaid(int version)
    {
        var bytes = SmallFile();
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), version);
        Sign(bytes);
        var error = Assert.Throws<ArrivalHistoryFormatException>(() => ArrivalHistory.FromBytes(bytes));
        Assert.Contains(FormattableString.Invariant($"is of version {version} of the format; accepted: 1"), error.Message);
    }

    [Fact]
    public void AHistoryThatWasKeptWithWiderBoundsIsReadAsFarAsItFits()
    {
        var history = ArrivalHistory.FromBytes(OfMinutes(300).ToBytes(), maxMinutes: 60, maxHours: 2);
        Assert.Equal([Noon.AddHours(2), Noon.AddHours(3)], history.Samples().Where(s => s.Length == Hour).Select(s => s.Start));
        Assert.Equal(Noon.AddMinutes(300), history.End);
        Assert.Equal(60, history.Minutes);
    }

    private static void Sign(byte[] bytes) => SHA256.HashData(bytes.AsSpan(0, bytes.Length - 32)).CopyTo(bytes, bytes.Length - 32);
}
