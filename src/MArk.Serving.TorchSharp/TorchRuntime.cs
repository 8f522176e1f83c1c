using System.Runtime.InteropServices;
using TorchSharp;

namespace MArk.Serving.TorchSharp;

/// <summary>The native library, and the settings of it that are the whole process's.</summary>
internal static class TorchRuntime
{
    private static readonly SemaphoreSlim OneAtATime = new(1, 1);

    private static readonly string[] Libraries = ["torch_cpu", "LibTorchSharp"];

    /// <summary>
    /// Loads the library. TorchSharp would do it too, but where it finds none it looks for one in NuGet's cache, copies that beside the application, and writes to the console. Neither
    /// it nor this is made for several threads at a time.
    /// </summary>
    private static void Load()
    {
        try
        {
            foreach (var library in Libraries)
            {
                NativeLibrary.Load(library, typeof(torch).Assembly, searchPath: null);
            }
            torch.InitializeDeviceType(DeviceType.CPU);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException or TypeInitializationException or NotSupportedException)
        {
            throw new LibTorchMissingException(e.GetBaseException().Message, e);
        }
    }

    /// <summary>Loads the library and computes on some threads until it is disposed of. One training at a time does, whatever it is for.</summary>
    /// <exception cref="LibTorchMissingException">It cannot be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled while another one trained.</exception>
    public static IDisposable Enter(int threads, CancellationToken cancellationToken)
    {
        OneAtATime.Wait(cancellationToken);
        try
        {
            Load();
            return new Stay(threads);
        }
        catch
        {
            OneAtATime.Release();
            throw;
        }
    }

    private sealed class Stay : IDisposable
    {
        private readonly int _before = torch.get_num_threads();

        public Stay(int threads) => torch.set_num_threads(threads);

        public void Dispose()
        {
            try
            {
                torch.set_num_threads(_before);
            }
            finally
            {
                OneAtATime.Release();
            }
        }
    }
}
