namespace MArk.Serving.TorchSharp;

/// <summary>
/// A file that keeps what an LSTM has learned across restarts. A save writes another file, flushes it to the disk and renames it, so that the file is whole whenever it is read. What
/// goes wrong is told, and stops nothing.
/// </summary>
internal sealed class LstmWeightsFile(string path, Action<ServingException> report)
{
    private readonly string _path = Path.GetFullPath(path);

    /// <summary>Has a forecaster forecast by what was saved last, if anything was. What cannot be used is renamed, never deleted.</summary>
    public void Load(LstmForecaster forecaster)
    {
        try
        {
            using var file = File.OpenRead(_path);
            forecaster.Load(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // Nothing was saved yet.
        }
        catch (LstmFormatException e)
        {
            report(new LstmFormatException($"The weights of an LSTM in '{_path}' cannot be used: {SetAside()} It begins without any. {e.Message}", e));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            report(new ServingException($"The weights of an LSTM in '{_path}' could not be read; it begins without any: {e.Message}", e));
        }
    }

    public void Save(LstmWeights weights)
    {
        var temporary = FormattableString.Invariant($"{_path}.{Environment.ProcessId}.tmp");
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            try
            {
                using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
                {
                    file.Write(weights.ToBytes());
                    file.Flush(flushToDisk: true);
                }
                File.Move(temporary, _path, overwrite: true);
            }
            catch
            {
                File.Delete(temporary);
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            report(new ServingException($"The weights of an LSTM could not be saved in '{_path}'; they are forecast by all the same, and saved with the next training: {e.Message}", e));
        }
    }

    private string SetAside()
    {
        for (var number = 1; ; number++)
        {
            var aside = FormattableString.Invariant($"{_path}.aside-{number}");
            if (Path.Exists(aside))
            {
                continue;
            }
            try
            {
                File.Move(_path, aside, overwrite: false);
                return $"the file is now '{aside}'.";
            }
            catch (IOException) when (Path.Exists(aside))
            {
                // Another process has taken this number meanwhile: the next one.
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return $"it could not be set aside either ({e.Message}), and the next training overwrites it.";
            }
        }
    }
}
