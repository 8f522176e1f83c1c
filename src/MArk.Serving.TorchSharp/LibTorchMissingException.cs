namespace MArk.Serving.TorchSharp;

/// <summary>The native library that trains is missing in the host, or does not fit the machine. Forecasts need none, and go on.</summary>
public sealed class LibTorchMissingException : ServingException
{
    /// <summary>A library that could not be loaded.</summary>
    /// <param name="reason">What the system said.</param>
    /// <param name="innerException">The cause.</param>
    public LibTorchMissingException(string reason, Exception? innerException = null)
        : base(
            "An LSTM cannot be trained, since the native libtorch is missing in this host or does not fit the machine: it must reference the package of its platform, " +
            "libtorch-cpu-linux-x64, libtorch-cpu-win-x64, libtorch-cpu-osx-arm64 or one of libtorch-cuda-*, in the version that TorchSharp was made for (2.10.0 for TorchSharp 0.107.0), " +
            "and on Linux libstdc++ must have GLIBCXX_3.4.32. What was learned before is forecast by, or the last value. The system said: " + reason,
            innerException)
    {
    }
}
