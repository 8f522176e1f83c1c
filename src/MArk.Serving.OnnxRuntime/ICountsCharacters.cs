namespace MArk.Serving.OnnxRuntime;

/// <summary>A codec that knows how long a request's strings are.</summary>
internal interface ICountsCharacters<in TIn>
{
    /// <summary>The characters of all strings of an input.</summary>
    long CountCharacters(TIn input, int inputIndex);
}
