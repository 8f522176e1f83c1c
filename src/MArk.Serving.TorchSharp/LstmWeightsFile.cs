using MArk.Serving.Prediction;

namespace MArk.Serving.TorchSharp;

/// <summary>
/// A file that keeps what an LSTM has learned across restarts, whole whenever it is read. What could not be used, or not even read, is never overwritten: it is renamed, at
/// once or before the next save. What goes wrong is told, and stops nothing.
/// </summary>
internal sealed class LstmWeightsFile(string path, Action<ServingException> report)
{
    private readonly string _path = Path.GetFullPath(path);
    private volatile bool _isInTheWay;      // whether what is there was not used, and not renamed yet

    /// <summary>Has a forecaster forecast by what was saved last, if anything was.</summary>
    public void Load(LstmForecaster forecaster)
    {
        try
        {
            using var file = File.OpenRead(_path);
            forecaster.Load(file);
            _isInTheWay = false;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // Nothing was saved yet.
        }
        catch (LstmFormatException e)
        {
            Say(new LstmFormatException($"The weights of an LSTM in '{_path}' cannot be used: {TrySetAside()} It begins without any. {e.Message}", e));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _isInTheWay = true;
            Say(new ServingException($"The weights of an LSTM in '{_path}' could not be read; it begins without any, and they are set aside before others are saved: {e.Message}", e));
        }
    }

    public void Save(LstmWeights weights)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            if (_isInTheWay)
            {
                var aside = WholeFile.SetAside(_path);
                _isInTheWay = false;
                if (aside is not null)
                {
                    Say(new ServingException($"The weights of an LSTM in '{_path}', which could not be used, are kept as '{aside}'."));
                }
            }
            WholeFile.Write(_path, weights.ToBytes());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Say(new ServingException($"The weights of an LSTM could not be saved in '{_path}'; they are forecast by all the same, and saved with the next training: {e.Message}", e));
        }
    }

    private string TrySetAside()
    {
        try
        {
            return WholeFile.SetAside(_path) is { } aside ? $"the file is now '{aside}'." : "another host has renamed the file.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _isInTheWay = true;
            return $"the file could not be renamed either ({e.Message}), and until it can, nothing is saved.";
        }
    }

    private void Say(ServingException error)
    {
        try
        {
            report(error);
        }
        catch (Exception e)
        {
            // The host's logger is broken: there is nobody left to tell, and what was learned is worth more.
            System.Diagnostics.Debug.WriteLine(e);
        }
    }
}
