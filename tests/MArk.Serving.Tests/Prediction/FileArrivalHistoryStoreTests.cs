using MArk.Serving.Prediction;

namespace MArk.Serving.Tests.Prediction;

public sealed class FileArrivalHistoryStoreTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("history-").FullName;
    private readonly FileArrivalHistoryStore _store;

    public FileArrivalHistoryStoreTests() => _store = new FileArrivalHistoryStore(_directory);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static byte[] Bytes(int minutes)
    {
        var history = new ArrivalHistory();
        for (var i = 0; i < minutes; i++)
        {
            history.Add(new ArrivalSample(DateTimeOffset.UnixEpoch.AddMinutes(i), TimeSpan.FromMinutes(1), i));
        }
        return history.ToBytes();
    }

    private string[] Files => [.. Directory.GetFiles(_directory).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];

    [Fact]
    public async Task WhatIsSavedIsLoadedAndNothingElseIsLeft()
    {
        Assert.Null(await _store.LoadAsync("m", default));
        await _store.SaveAsync("m", new byte[] { 1 }, default);
        await _store.SaveAsync("m", new byte[] { 2, 3 }, default);
        Assert.Equal([2, 3], (await new FileArrivalHistoryStore(_directory).LoadAsync("m", default))!.Value.ToArray());
        Assert.Equal(["arrivals-m.history"], Files);
    }

    [Fact]
    public async Task TheDirectoryIsMadeWithTheFirstSaveAndNotBefore()
    {
        var deep = Path.Combine(_directory, "a", "b");
        var store = new FileArrivalHistoryStore(deep);
        Assert.Null(await store.LoadAsync("m", default));
        Assert.Null(await store.SetAsideAsync("m", default));
        Assert.False(Directory.Exists(deep));
        await store.SaveAsync("m", new byte[] { 1 }, default);
        Assert.Single((await store.LoadAsync("m", default))!.Value.ToArray());
    }

    [Fact]
    public async Task WhatIsSetAsideIsKeptAndNeverOverwritten()
    {
        var places = new List<string>();
        for (byte i = 1; i <= 3; i++)
        {
            await _store.SaveAsync("m", new[] { i }, default);
            places.Add((await _store.SetAsideAsync("m", default))!);
            Assert.Null(await _store.LoadAsync("m", default));
        }
        Assert.Equal(["arrivals-m.history.aside-1", "arrivals-m.history.aside-2", "arrivals-m.history.aside-3"], Files);
        for (byte i = 1; i <= 3; i++)
        {
            Assert.Equal([i], await File.ReadAllBytesAsync(places[i - 1]));
        }
        Assert.Null(await _store.SetAsideAsync("m", default));
    }

    [Fact]
    public async Task ManyThatSetAsideAtTheSameTimeLoseNothing()
    {
        await _store.SaveAsync("m", new byte[] { 7 }, default);
        var places = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => _store.SetAsideAsync("m", default).AsTask())));
        Assert.Equal([7], await File.ReadAllBytesAsync(Assert.Single(places, p => p is not null)!));
        Assert.Single(Files);
    }

    [Fact]
    public async Task NoTwoModelsShareAFileAndNoneLeavesTheDirectory()
    {
        string[] names =
        [
            "digits", "Digits", "DIGITS", "digits ", " digits", "digits.", "..", ".", "../digits", "a/b", "a\\b", "a:b", "a*b", "a%b", "a%002fb", "a_b", "a-b", "con", "nul", "CON",
            "arrivals-digits", "digits.history", "über", "u\u0308ber", "ü", "\ud800", "\udc00", "\ufffd", "模型", "a\0b", "x~y", new string('x', 119), new string('x', 120), new string('x', 121),
            new string('x', 5000), new string('x', 4999) + "y", new string('X', 5000), new string('\u6a21', 300),
        ];
        for (var i = 0; i < names.Length; i++)
        {
            await _store.SaveAsync(names[i], new[] { (byte)i }, default);
        }
        for (var i = 0; i < names.Length; i++)
        {
            Assert.Equal([(byte)i], (await _store.LoadAsync(names[i], default))!.Value.ToArray());
            Assert.Equal(_directory, Path.GetDirectoryName(_store.PathOf(names[i])));
        }
        Assert.Equal(names.Length, Files.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(Files, f => Assert.True(f.Length <= 160 && f.All(char.IsAscii), f));
    }

    [Fact]
    public async Task ASaveThatFailsLeavesTheLastOneAndNothingElse()
    {
        await _store.SaveAsync("m", new byte[] { 1 }, default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _store.SaveAsync("m", new byte[1 << 20], new CancellationToken(canceled: true)).AsTask());
        Assert.Equal([1], (await _store.LoadAsync("m", default))!.Value.ToArray());
        Assert.Single(Files);

        // A directory is where the file should be: it cannot be renamed over.
        Directory.CreateDirectory(_store.PathOf("blocked"));
        var error = await Assert.ThrowsAnyAsync<Exception>(() => _store.SaveAsync("blocked", new byte[] { 1 }, default).AsTask());
        Assert.True(error is IOException or UnauthorizedAccessException, $"{error}");
        Assert.Single(Files);
    }

    [Fact]
    public async Task APlaceThatIsNoDirectoryIsSaid()
    {
        var file = Path.Combine(_directory, "file");
        await File.WriteAllTextAsync(file, "");
        await Assert.ThrowsAnyAsync<IOException>(() => new FileArrivalHistoryStore(file).SaveAsync("m", new byte[] { 1 }, default).AsTask());
        Assert.Throws<ArgumentException>(() => new FileArrivalHistoryStore(" "));
        Assert.Throws<ArgumentException>(() => _store.PathOf(""));
    }

    /// <summary>The last one wins, and whoever reads in between reads a whole history of one of them.</summary>
    [Fact]
    public async Task TwoHostsThatSaveAtTheSameTimeNeverMixUp()
    {
        byte[][] histories = [Bytes(300), Bytes(2000)];
        await _store.SaveAsync("m", histories[0], default);
        var saving = histories.Select(bytes => Task.Run(async () =>
        {
            var store = new FileArrivalHistoryStore(_directory);
            for (var i = 0; i < 50; i++)
            {
                await store.SaveAsync("m", bytes, default);
            }
        })).ToArray();
        var reads = 0;
        do
        {
            var read = (await _store.LoadAsync("m", default))!.Value;
            Assert.Contains(ArrivalHistory.FromBytes(read.Span).Minutes, (int[])[300, 2000]);
            reads++;
        }
        while (!Task.WhenAll(saving).IsCompleted || reads < 10);
        await Task.WhenAll(saving);
        Assert.Equal(["arrivals-m.history"], Files);
    }

    [Fact]
    public async Task WhatAKilledProcessLeftBehindIsNotInTheWay()
    {
        for (var i = 0; i < 2000; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(_directory, $"arrivals-m.history.{Environment.ProcessId}-{i}.tmp"), "half");
        }
        await _store.SaveAsync("m", new byte[] { 1 }, default);
        Assert.Equal([1], (await _store.LoadAsync("m", default))!.Value.ToArray());
    }
}
