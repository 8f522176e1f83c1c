using MArk.Serving.Prediction;
#if WITH_LSTM
using MArk.Serving.TorchSharp;
#endif

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>The predictors that can be measured: the built-in ones, and with <c>-p:WithLstm=true</c> the LSTM, alone and mixed with them.</summary>
internal static class Candidates
{
    private const string All = "all";
    private const string Lstm = "lstm";
    private const string AutoWithLstm = "auto-lstm";

    /// <summary>What can be given to <c>--predictors</c>.</summary>
    public static IEnumerable<string> Accepted => [.. Predictors.Names, Lstm, AutoWithLstm, All];

    /// <summary>Those that need libtorch: reported beside the built-in ones, which are judged without them.</summary>
    public static bool IsBuiltIn(string name) => name is not (Lstm or AutoWithLstm);

    /// <summary>The names that are meant.</summary>
    public static IEnumerable<string> Named(IEnumerable<string> names) => names.SelectMany(name => name == All ? Every : [name]);

    /// <summary>Makes one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="options">Intervals and horizon.</param>
    /// <param name="retrainAfter">After how many intervals the LSTM is trained again.</param>
    /// <exception cref="ServingException">There is none of that name in this build; says which there are.</exception>
    public static IWorkloadPredictor Create(string name, PredictorOptions options, int retrainAfter) => name switch
    {
        Lstm => NewLstm(options, retrainAfter),
        AutoWithLstm => new AutoPredictor([.. AutoPredictor.BuiltIn(options), NewLstm(options, retrainAfter)], options),
        _ when Predictors.Names.Contains(name) => Predictors.Create(name, options),
        _ => throw new ServingException($"There is no predictor '{name}'; accepted: {string.Join(", ", Accepted)}."),
    };

#if WITH_LSTM
    private static IEnumerable<string> Every => [.. Predictors.Names, Lstm, AutoWithLstm];

    private static IWorkloadPredictor NewLstm(PredictorOptions options, int retrainAfter) =>
        LstmPredictor.Create(options, new LstmOptions { RetrainAfter = retrainAfter });
#else
    private static IEnumerable<string> Every => Predictors.Names;

    private static IWorkloadPredictor NewLstm(PredictorOptions options, int retrainAfter) => throw new ServingException(
        "The LSTM needs libtorch, which this build is made without: dotnet run -c Release -p:WithLstm=true --project benchmarks/MArk.Serving.Benchmarks -- forecast --predictors lstm");
#endif
}
