using System.Diagnostics;
using System.Globalization;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>
/// Tells when the machine stalls: a shared one may run all its cores at a fraction of their speed for some tens of milliseconds, whatever runs on them. A thread does the same small piece of arithmetic every few
/// milliseconds, which takes about a hundredth of a core, and looks at the processor time that took: to be kept from a core by this process's own threads does not count.
/// </summary>
internal sealed class StallWatch : IDisposable
{
    private const int Multiplications = 10_000;
    private const int Remembered = 400;
    private const int EnoughToJudge = 50;
    private const int SlowInARow = 2;
    private const double SlowFactor = 1.8;
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(5);

    private readonly Thread _thread;
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly double[] _last = new double[Remembered];
    private volatile bool _isDisposed;
    private long _ended;
    private long _lastPiece;
    private long _stalledTicks;
    private int _slowPieces;
    private double _slowness;       // sum over those, in usual times
    private int _stalls;
    private double _work = 1;

    public StallWatch()
    {
        _thread = new Thread(Watch) { IsBackground = true, Name = "stall watch" };
        _thread.Start();
    }

    /// <summary>How much of the time the machine was stalled, from the first slow piece of arithmetic to the last of a row.</summary>
    public double StalledShare => (double)Volatile.Read(ref _stalledTicks) / Watched;

    /// <summary>How often it stalled.</summary>
    public double PerSecond => Volatile.Read(ref _stalls) * (double)Stopwatch.Frequency / Watched;

    /// <summary>How much longer than usual the same work took while it was stalled; 1 if it never was.</summary>
    public double Slowness => Volatile.Read(ref _slowPieces) is > 0 and var pieces ? Volatile.Read(ref _slowness) / pieces : 1;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"The machine stalled {PerSecond:N2} times a second, {StalledShare:P1} of the time: the same arithmetic took {Slowness:N1} times as long then as it does mostly.");

    private long Watched => (_ended > 0 ? _ended : Stopwatch.GetTimestamp()) - _started;

    /// <summary>Ends the watch; what it has seen stays.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        _thread.Join();
        _ended = Stopwatch.GetTimestamp();
    }

    private void Watch()
    {
        var (seen, slowInARow, usual) = (0, 0, double.MaxValue);
        while (!_isDisposed)
        {
            var begun = ProcessorTime();
            Work();
            var took = ProcessorTime() - begun;
            _last[seen++ % Remembered] = took;
            if (seen % EnoughToJudge == 0)
            {
                usual = Statistics.Median(_last.Take(Math.Min(seen, Remembered)));
            }
            slowInARow = took > SlowFactor * usual ? slowInARow + 1 : 0;
            var now = Stopwatch.GetTimestamp();
            if (slowInARow >= SlowInARow)
            {
                Volatile.Write(ref _stalls, _stalls + (slowInARow == SlowInARow ? 1 : 0));
                Volatile.Write(ref _stalledTicks, _stalledTicks + now - _lastPiece);
                Volatile.Write(ref _slowness, _slowness + took / usual);
                Volatile.Write(ref _slowPieces, _slowPieces + 1);
            }
            _lastPiece = now;
            Thread.Sleep(Every);
        }
    }

    private void Work()
    {
        for (var i = 0; i < Multiplications; i++)
        {
            _work = _work * 0.9999999 + 1e-9;
        }
    }

    /// <summary>The calling thread's processor time in nanoseconds; where there is no such clock, the time.</summary>
    private static double ProcessorTime() => LinuxClock.TryGetThreadTime(out var time) ? time : Stopwatch.GetTimestamp() * 1e9 / Stopwatch.Frequency;
}
