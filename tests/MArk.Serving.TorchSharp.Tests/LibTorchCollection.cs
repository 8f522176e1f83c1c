namespace MArk.Serving.TorchSharp.Tests;

/// <summary>Tests that count libtorch's tensors or set its threads, which are the process's, run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class LibTorchCollection
{
    public const string Name = "libtorch";
}
