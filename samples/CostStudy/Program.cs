using System.CommandLine;
using CostStudy;
using MArk.Serving;

// What would it cost? Replays a day of traffic in virtual time, on the code that serves in production, under one policy after the other.
var study = new Command("run", "Compares policies on one model and one load.");
var options = new StudyOptions(study);
study.SetAction(result => Guarded(() => Study.Run(options.Read(result))));

var output = new Option<DirectoryInfo>("--out") { Description = "Where the reports are written.", DefaultValueFactory = _ => new DirectoryInfo("artifacts/paper") };
var seed = new Option<int>("--seed") { Description = "Seeds all randomness.", DefaultValueFactory = _ => 1 };
var quick = new Option<bool>("--quick") { Description = "A fraction of each day: a smoke test, whose figures mean nothing." };
var paper = new Command("paper", "The experiments of the MArk paper: four models, days, bursts, surges, and spot machines that are lost.") { output, seed, quick };
paper.SetAction(result => Guarded(() => PaperStudy.Run(result.GetValue(output)!, result.GetValue(seed), result.GetValue(quick))));

var folder = new Argument<DirectoryInfo>("folder") { Description = "Files of arrivals (*.csv): lines of offset_s,count." };
var peak = new Option<double>("--peak-instances") { Description = "How many of the cheapest machines the busiest minute of each is scaled to.", DefaultValueFactory = _ => 10 };
var traces = new Command("traces", "Compares policies on one model and every trace of a folder, scaled to the same size of fleet.") { folder, peak };
var tracesOptions = new StudyOptions(traces, ofOneLoad: false);
traces.SetAction(result => Guarded(() => TracesStudy.Run(result.GetValue(folder)!, result.GetValue(peak), tracesOptions.Read(result))));

var root = new RootCommand("Simulates what serving a model costs, and how much of it is in time.") { study, paper, traces };
foreach (var option in study.Options)
{
    // Without a verb it is one study.
    root.Options.Add(option);
}
root.SetAction(result => Guarded(() => Study.Run(options.Read(result))));
return root.Parse(args).Invoke();

static int Guarded(Func<int> run)
{
    try
    {
        return run();
    }
    catch (Exception e) when (e is ServingException or ArgumentException)
    {
        Console.Error.WriteLine(e.Message);
        return 2;
    }
}
