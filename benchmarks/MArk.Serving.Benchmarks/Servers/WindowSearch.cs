namespace MArk.Serving.Benchmarks.Servers;

/// <summary>A server whose window has to be tuned: it gets the best of some, found by trying all.</summary>
internal sealed class WindowSearch(Func<TimeSpan, Task<IServer>> create, IReadOnlyList<TimeSpan> windows) : IAsyncDisposable
{
    private readonly Dictionary<TimeSpan, IServer> _servers = [];

    /// <summary>The windows that are worth trying under a latency objective.</summary>
    public static TimeSpan[] Windows(bool quick) => [.. (quick ? new[] { 2 } : [1, 2, 3, 4, 6, 8, 12]).Select(ms => TimeSpan.FromMilliseconds(ms))];

    /// <summary>The server of the highest score, higher being better; of equal ones the first.</summary>
    public async Task<(IServer Server, TimeSpan Window)> BestAsync<TScore>(Func<IServer, Task<TScore>> score)
    {
        var best = windows[0];
        var bestScore = default(TScore);
        foreach (var window in windows)
        {
            if (!_servers.TryGetValue(window, out var server))
            {
                _servers.Add(window, server = await create(window));
            }
            if (windows.Count > 1)
            {
                var own = await score(server);
                if (window == windows[0] || Comparer<TScore>.Default.Compare(own, bestScore) > 0)
                {
                    (best, bestScore) = (window, own);
                }
            }
        }
        return (_servers[best], best);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers.Values)
        {
            await server.DisposeAsync();
        }
    }
}
