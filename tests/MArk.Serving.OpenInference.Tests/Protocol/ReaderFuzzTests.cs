using CsCheck;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Tests.Protocol;

/// <summary>Whatever the bytes are, a message is read or refused as a bad one: no other error, and no more memory than the bytes account for.</summary>
public sealed class ReaderFuzzTests
{
    private const string Good =
        """{"id":"7","parameters":{"timeout":1000,"binary_data_output":true},"inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1.5,2],[3,4e2]]},{"name":"b","shape":[2,1],"datatype":"BYTES","parameters":{"binary_data_size":11}},{"name":"c","shape":[2],"datatype":"INT64","data":[1,-2]}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}""";

    private static readonly string[] Tokens =
    [
        "{", "}", "[", "]", ",", ":", "\"inputs\"", "\"outputs\"", "\"name\"", "\"x\"", "\"shape\"", "\"datatype\"", "\"FP32\"", "\"BYTES\"", "\"data\"", "\"parameters\"", "\"binary_data_size\"", "1", "-1", "1e9", "null", "true", "9999999999",
    ];

    private static readonly byte[] Strings = [2, 0, 0, 0, (byte)'h', (byte)'i', 1, 0, 0, 0, (byte)'!'];

    [Fact]
    public void RandomBytes() => Gen.Byte.Array[0, 300].Select(Gen.Int[-5, 320]).Sample((body, header) => { TryRead(body, header); }, iter: 20_000);

    [Fact]
    public void RandomTextOfTheAlphabetOfJson() =>
        Gen.Int[0, Tokens.Length - 1].Array[0, 60].Sample(tokens => { TryRead(Messages.Utf8(string.Concat(tokens.Select(t => Tokens[t]))), null); }, iter: 30_000);

    [Fact]
    public void GoodMessagesWithSomeBytesChanged()
    {
        var (body, header) = Messages.WithBinary(Good, Strings);
        Assert.True(TryRead(body, header));
        Gen.Select(Gen.Int[0, body.Length - 1], Gen.Byte).Array[1, 6].Select(Gen.Int[-2, 2]).Sample((changes, shift) =>
        {
            var changed = (byte[])body.Clone();
            foreach (var (at, value) in changes)
            {
                changed[at] = value;
            }
            TryRead(changed, header + shift);
        }, iter: 30_000);
    }

    [Fact]
    public void GoodMessagesCutShort()
    {
        var (body, header) = Messages.WithBinary(Good, Strings);
        for (var length = 0; length < body.Length; length++)
        {
            Assert.False(TryRead(body[..length], Math.Min(header, length)), $"cut to {length} bytes");
        }
    }

    [Fact]
    public void NoMemoryIsTakenForWhatIsNotThere()
    {
        var body = Messages.Utf8("""{"inputs":[{"name":"x","shape":[500000000],"datatype":"FP64","data":[1]}]}""");
        TryRead(body, null);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(TryRead(body, null));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Theory]
    [InlineData("FP32", "1.5")]
    [InlineData("INT64", "-7")]
    [InlineData("BOOL", "true")]
    [InlineData("BYTES", "\"ab\"")]
    public void ElementsAreReadWithoutAnAllocationForEach(string type, string element)
    {
        byte[] Body(int count) => Messages.Utf8($$$"""{"inputs":[{"name":"x","shape":[{{{count}}}],"datatype":"{{{type}}}","data":[{{{string.Join(',', Enumerable.Repeat(element, count))}}}]}]}""");
        long AllocatedFor(byte[] body)
        {
            TryRead(body, null);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.True(TryRead(body, null));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        var (few, many) = (Body(10), Body(10_000));
        Assert.InRange(AllocatedFor(many) - AllocatedFor(few), -1000, 1000);
    }

    private static bool TryRead(byte[] body, int? header)
    {
        try
        {
            using var message = Messages.Reader.ReadRequest(body, header);
            return true;
        }
        catch (WireFormatException)
        {
            return false;
        }
    }
}
