using System.Globalization;
using System.Text;
using MArk.Serving.Prediction;

namespace MArk.Serving.Provisioning;

/// <summary>
/// Leases of fleets in the files of a directory that all hosts see. A lease runs out by the hosts' clocks, which must not differ by more than a third of its duration, so the lease
/// of a host that was killed is free after that. The directory's file system must know locks, as local ones and NFS 4 do.
/// </summary>
/// <remarks>
/// Each fleet has two files: one that says who holds the lease and until when, and one that is empty and locked while the other is read and written. A file that cannot be read
/// is kept aside, ending in <c>.aside-1</c> and so on, and said; for one duration nobody takes the lease then, as somebody may hold it.
/// </remarks>
public sealed class FileFleetLease : IFleetLease
{
    private const string Header = "mark-fleet-lease 1";
    private const string Nobody = "-";
    private const int LockTries = 100;
    private static readonly TimeSpan LockRetry = TimeSpan.FromMilliseconds(10);

    private readonly string _directory;
    private readonly TimeProvider _time;

    /// <summary>Leases in a directory.</summary>
    /// <param name="directory">The directory, made with the first call if there is none. A relative path is taken from the process's current directory, now.</param>
    /// <param name="time">The clock that leases run out by; the system's if none is given.</param>
    /// <exception cref="ArgumentException">The path is empty, or no path.</exception>
    public FileFleetLease(string directory, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        _directory = Path.GetFullPath(directory);
        _time = time ?? TimeProvider.System;
    }

    /// <summary>The file that says who holds a fleet's lease.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <returns>The full path.</returns>
    public string PathOf(string fleet)
    {
        ArgumentException.ThrowIfNullOrEmpty(fleet);
        return Path.Combine(_directory, $"fleet-{FileNames.Of(fleet)}.lease");
    }

    /// <inheritdoc/>
    public async ValueTask<bool> TryHoldAsync(string fleet, string holder, TimeSpan duration, CancellationToken cancellationToken)
    {
        CheckHolder(holder);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        cancellationToken.ThrowIfCancellationRequested();
        var path = PathOf(fleet);
        try
        {
            Directory.CreateDirectory(_directory);
            using (await LockAsync(fleet, cancellationToken).ConfigureAwait(false))
            {
                var now = _time.GetUtcNow();
                if (Read(fleet, now + duration) is var (heldBy, until) && heldBy != holder && until > now)
                {
                    return false;
                }
                Write(path, holder, now + duration);
                return true;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FleetLeaseException(fleet, $"can be neither taken nor kept in '{path}': {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public async ValueTask ReleaseAsync(string fleet, string holder, CancellationToken cancellationToken)
    {
        CheckHolder(holder);
        var path = PathOf(fleet);
        try
        {
            if (!File.Exists(path))
            {
                return;
            }
            using (await LockAsync(fleet, cancellationToken).ConfigureAwait(false))
            {
                if (Read(fleet, asideUntil: null)?.Holder == holder)
                {
                    File.Delete(path);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FleetLeaseException(fleet, $"cannot be given back in '{path}', and runs out by itself: {e.Message}", e);
        }
    }

    private static void CheckHolder(string holder)
    {
        ArgumentException.ThrowIfNullOrEmpty(holder);
        if (holder == Nobody || holder.AsSpan().IndexOfAny('\r', '\n') >= 0)
        {
            throw new ArgumentException($"A holder is called '{holder}'; accepted is a name of one line other than '{Nobody}'.", nameof(holder));
        }
    }

    /// <summary>Locks what a fleet's file says; the lock ends with what is returned, or with the process.</summary>
    private async Task<FileStream> LockAsync(string fleet, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return new FileStream(Path.ChangeExtension(PathOf(fleet), ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            }
            catch (IOException) when (tries < LockTries)
            {
                // Another host reads or writes it, which takes a moment, on a clock that is no test's.
                await Task.Delay(LockRetry, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Who holds the lease and until when; nothing if nobody ever did or it was given back.</summary>
    /// <param name="fleet">The fleet's name.</param>
    /// <param name="asideUntil">Until when nobody may take it, if it cannot be read and is set aside; where nothing is given it is left alone.</param>
    private (string Holder, DateTimeOffset Until)? Read(string fleet, DateTimeOffset? asideUntil)
    {
        var path = PathOf(fleet);
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        if (lines is [Header, { Length: > 0 } holder, var time]
            && DateTimeOffset.TryParseExact(time, "O", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var until))
        {
            return (holder, until);
        }
        if (asideUntil is not { } free)
        {
            return null;
        }
        var aside = WholeFile.SetAside(path);
        Write(path, Nobody, free);
        throw new FleetLeaseException(
            fleet, FormattableString.Invariant($"is not readable in '{path}': accepted are three lines, '{Header}', a holder and a UTC time. It is kept aside as '{aside}', and nobody takes the lease before {free:O}."));
    }

    private static void Write(string path, string holder, DateTimeOffset until) =>
        WholeFile.Write(path, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Header}\n{holder}\n{until.UtcDateTime:O}\n")));
}
