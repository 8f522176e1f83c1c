using System.Buffers.Binary;
using System.Security.Cryptography;
using static MArk.Serving.TorchSharp.Tests.Waves;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>Weights as bytes, and in another scale.</summary>
public sealed class LstmWeightsTests
{
    private static readonly LstmShape Shape = ShapeOf(Small);

    [Fact]
    public void TheSameFunctionInAnotherScale()
    {
        var before = Drawn(Shape, 3, centre: 0.5, scale: 12);
        var after = before.InScale(-1, 40);
        var rates = Enumerable.Range(0, Small.Window + 1).Select(Rate).ToArray();
        var (one, two) = (new double[Horizon], new double[Horizon]);
        before.Forecast(rates, new LstmScratch(Shape), one);
        after.Forecast(rates, new LstmScratch(Shape), two);
        Assert.All(one.Zip(two), pair => Assert.Equal(pair.First, pair.Second, 3));
        Assert.True(one.Max() - one.Min() > 1);
    }

    [Fact]
    public void BeforeAnythingIsLearnedNothingChanges()
    {
        var weights = LstmWeights.Initial(Shape, centre: 2, scale: 10, new Random(1));
        var path = new double[Horizon];
        weights.Forecast([.. Enumerable.Range(0, Small.Window + 1).Select(Rate)], new LstmScratch(Shape), path);
        Assert.All(path, rate => Assert.Equal(Rate(Small.Window), rate, 4));
    }

    [Fact]
    public void WhatIsSavedIsLoaded()
    {
        var saved = New();
        saved.Load(new MemoryStream(Drawn(Shape, 4).ToBytes()));
        var loaded = New();
        // In parts, as a network gives it.
        loaded.Load(new Trickle(saved.Saved()));
        Assert.True(loaded.HasLearned);
        Assert.Equal(saved.Saved(), loaded.Saved());
        Assert.Equal(saved.Observe(0, 100).Ahead(100), loaded.Observe(0, 100).Ahead(100));
    }

    [Fact]
    public void WithoutAnythingLearnedThereIsNothingToSave()
    {
        using var stream = new MemoryStream();
        Assert.Throws<InvalidOperationException>(() => New().Save(stream));
        Assert.Equal(0, stream.Length);
    }

    public static TheoryData<string, Func<byte[], byte[]>> Bad { get; } = new()
    {
        { "0 bytes are no weights", _ => [] },
        { "begins with 'MArkLstm'", _ => "offset_s,count\n0,17\n"u8.ToArray() },
        { "begins with 'MArkLstm'", good => good[..10] },
        { "damaged or cut short", good => good[..12] },
        { "damaged or cut short", good => good[..40] },
        { "damaged or cut short", good => good[..^1] },
        { "damaged or cut short", good => [.. good, 0] },
        { "damaged or cut short", good => Flip(good, 12) },
        { "damaged or cut short", good => Flip(good, 500) },
        { "damaged or cut short", good => Flip(good, good.Length - 1) },
        { "version 2 of the format; accepted: 1", good => Signed(good, b => b[8] = 2) },
        { "version 0 of the format; accepted: 1", good => Signed(good, b => b[8] = 0) },
        { "8 hidden units, a window of 20 and a horizon of 10; accepted: intervals of 60 s, 8 hidden", good => Signed(good, b => BinaryPrimitives.WriteInt64LittleEndian(b.AsSpan(12), 1)) },
        { "9 hidden units", good => Signed(good, b => b[20] = 9) },
        { "a window of 21", good => Signed(good, b => b[24] = 21) },
        { "a horizon of 11", good => Signed(good, b => b[28] = 11) },
        { "-1 hidden units", good => Signed(good, b => BinaryPrimitives.WriteInt32LittleEndian(b.AsSpan(20), -1)) },
        { "no finite number", good => Signed(good, b => BinaryPrimitives.WriteSingleLittleEndian(b.AsSpan(100), float.NaN)) },
        { "no finite number", good => Signed(good, b => BinaryPrimitives.WriteDoubleLittleEndian(b.AsSpan(32), double.PositiveInfinity)) },
        { "more than 0", good => Signed(good, b => BinaryPrimitives.WriteDoubleLittleEndian(b.AsSpan(40), 0)) },
        { "bytes; accepted for", good => Resigned([.. good[..^32], 0, 0, 0, 0, .. good[^32..]]) },
        { "damaged or cut short", good => [.. good, .. new byte[20_000_000]] },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void ABadFileIsSaidAndNothingHasChanged(string what, Func<byte[], byte[]> make)
    {
        var forecaster = New();
        forecaster.Load(new MemoryStream(Drawn(Shape, 5).ToBytes()));
        var before = forecaster.Observe(0, 100).Ahead(100);
        var bad = make(Drawn(Shape, 6).ToBytes());
        var error = Assert.ThrowsAny<ServingException>(() => forecaster.Load(new MemoryStream(bad)));
        Assert.IsType<LstmFormatException>(error);
        Assert.Contains(what, error.Message);
        Assert.Equal(before, forecaster.Ahead(100));
    }

    [Fact]
    public void ALargerLstmsWeightsAreToldByTheirShape()
    {
        var large = Drawn(new LstmShape(Minute.Ticks, 200, 60, 60), 7).ToBytes();
        Assert.Contains("200 hidden units", Assert.Throws<LstmFormatException>(() => New().Load(new MemoryStream(large))).Message);
    }

    private static byte[] Flip(byte[] bytes, int at)
    {
        bytes[at] ^= 0x10;
        return bytes;
    }

    private static byte[] Signed(byte[] bytes, Action<byte[]> change)
    {
        change(bytes);
        return Resigned(bytes);
    }

    private static byte[] Resigned(byte[] bytes)
    {
        SHA256.HashData(bytes.AsSpan(..^32), bytes.AsSpan(^32..));
        return bytes;
    }

    private sealed class Trickle(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(7, buffer.Length)]);
    }
}
