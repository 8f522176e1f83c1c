namespace MArk.Serving.Tests;

/// <summary>Keeps the answers in the order in which they come; an error is thrown.</summary>
internal sealed class ListSink(List<int> answers) : IBatchSink<int>
{
    public void SetResult(int index, int result) => answers.Add(result);

    public void SetError(int index, Exception error) => throw error;

    public bool TryGetDestination(int index, out int destination)
    {
        destination = 0;
        return false;
    }
}
