using System.Text;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Tests.Protocol;

/// <summary>Bodies of messages, as a client or a server would send them.</summary>
internal static class Messages
{
    public static readonly InferMessageReader Reader = new(new WireLimits());

    public static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>JSON, and what follows it.</summary>
    public static (byte[] Body, int HeaderLength) WithBinary(string json, params byte[] binary)
    {
        var header = Utf8(json);
        return ([.. header, .. binary], header.Length);
    }

    public static InferMessage Request(string json) => Reader.ReadRequest(Utf8(json), null);

    public static WireFormatException Refused(string json) => Assert.Throws<WireFormatException>(() => Request(json));
}
