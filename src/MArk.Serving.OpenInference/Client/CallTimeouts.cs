using System.Numerics;

namespace MArk.Serving.OpenInference.Client;

/// <summary>
/// When a call to a server is given up: after several times as long as its slow calls of about that size take, so that a server that hangs holds a batch for as short as can be known. A size that was not
/// seen yet is taken to need no more an item than smaller ones.
/// </summary>
internal sealed class CallTimeouts(TimeSpan least, TimeSpan most)
{
    private const double Factor = 8;
    private const double Fading = 0.995;
    private const int Sizes = 32;

    private readonly Lock _gate = new();
    private readonly double[] _slow = new double[Sizes];        // ticks, by the power of two that a batch reaches; fades, so that what was slow once is forgotten
    private double _patience = 1;

    /// <summary>For a batch of a size.</summary>
    public TimeSpan For(int size)
    {
        lock (_gate)
        {
            var slow = 0.0;
            for (var i = 0; i < Sizes; i++)
            {
                slow = Math.Max(slow, _slow[i] * Math.Max(1, size / (double)(1L << i)));
            }
            return slow == 0 ? most : TimeSpan.FromTicks((long)Math.Min(_patience * Math.Max(Factor * slow, least.Ticks), most.Ticks));
        }
    }

    public void OnAnswered(int size, TimeSpan after)
    {
        var place = BitOperations.Log2((uint)size);
        lock (_gate)
        {
            _slow[place] = Math.Max(after.Ticks, Fading * _slow[place]);
            _patience = 1;
        }
    }

    /// <summary>A server that has become slower, and does not hang, is met sooner or later.</summary>
    public void OnGivenUp()
    {
        lock (_gate)
        {
            _patience = Math.Min(2 * _patience, most / least);
        }
    }
}
