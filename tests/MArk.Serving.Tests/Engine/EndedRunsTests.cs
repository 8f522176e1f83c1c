using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>Batches that have run are completed once each, in order.</summary>
public sealed class EndedRunsTests
{
    [Fact]
    public void TheFirstToBeAddedIsTheFirstToBeTaken()
    {
        var runs = new EndedRuns<int, int>();
        var works = Enumerable.Range(0, 5).Select(_ => new BatchWork<int, int>(null!)).ToArray();
        Assert.True(runs.IsEmpty);
        runs.Add(works[0]);
        runs.Add(works[1]);
        runs.Add(works[2]);
        Assert.Same(works[0], Take(runs));
        runs.Add(works[3]);
        runs.Add(works[4]);
        Assert.Equal(works[1..], [Take(runs), Take(runs), Take(runs), Take(runs)]);
        Assert.True(runs.IsEmpty);
        Assert.False(runs.TryTake(out _));
        // One that was taken may be added again.
        runs.Add(works[2]);
        Assert.Same(works[2], Take(runs));
        Assert.False(runs.TryTake(out _));
    }

    [Fact]
    public async Task FromSeveralThreadsToSeveralEachIsTakenOnceAndThoseOfOneInOrder()
    {
        const int Each = 20_000;
        var runs = new EndedRuns<int, int>();
        var works = Enumerable.Range(0, 2).Select(_ => Enumerable.Range(0, Each).Select(_ => new BatchWork<int, int>(null!)).ToArray()).ToArray();
        var numbers = works.SelectMany((own, adder) => own.Select((work, number) => (work, (Adder: adder, Number: number)))).ToDictionary(p => p.work, p => p.Item2);
        var left = 2 * Each;
        var taken = new List<(int Adder, int Number)>[] { [], [] };
        var adders = works.Select(own => Task.Run(() => Array.ForEach(own, runs.Add)));
        var takers = taken.Select(list => Task.Run(() =>
        {
            while (Volatile.Read(ref left) > 0)
            {
                if (runs.TryTake(out var work))
                {
                    list.Add(numbers[work]);
                    Interlocked.Decrement(ref left);
                }
            }
        }));
        await Task.WhenAll([.. adders, .. takers]).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(numbers.Values.Order(), taken.SelectMany(list => list).Order());
        foreach (var byOne in taken.SelectMany(list => list.GroupBy(t => t.Adder)))
        {
            Assert.Equal(byOne.Order(), byOne);
        }
    }

    private static BatchWork<int, int> Take(EndedRuns<int, int> runs)
    {
        Assert.True(runs.TryTake(out var work));
        return work;
    }
}
