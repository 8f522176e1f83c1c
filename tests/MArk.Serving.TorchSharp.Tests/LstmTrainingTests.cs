using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static MArk.Serving.TorchSharp.Tests.Waves;

namespace MArk.Serving.TorchSharp.Tests;

/// <summary>Trainings by libtorch.</summary>
[Collection(LibTorchCollection.Name)]
public sealed class LstmTrainingTests
{
    private static readonly LstmOptions Good = Small with { HiddenUnits = 16, Epochs = 60, MinimumHistory = 400, RetrainAfter = 400 };

    /// <summary>By how many TorchSharp counts a layer's parameters, which it makes of tensors, too often once they are gone.</summary>
    private static long Miscounted
    {
        get
        {
            var before = torch.Tensor.TotalCount;
            torch.nn.Linear(1, 1).Dispose();
            return torch.Tensor.TotalCount - before;
        }
    }

    private static LstmForecaster Learned { get => field ??= New(Good).Observe(0, 400).Train(); }

    [Fact]
    public void WhatComesAgainIsLearnedFarBetterThanByTheLastValue()
    {
        var forecaster = New(Good).Observe(0, 400);
        Assert.Equal(Same(Rate(399)), forecaster.Ahead(400));
        forecaster.Train();
        var (error, naive) = (0.0, 0.0);
        for (var minute = 400; minute < 600; minute++)
        {
            var ahead = forecaster.Ahead(minute);
            for (var step = 0; step < Horizon; step++)
            {
                error += Math.Abs(ahead[step] - Rate(minute + step));
                naive += Math.Abs(Rate(minute - 1) - Rate(minute + step));
            }
            forecaster.Observe(minute, 1);
        }
        Assert.True(error < 0.2 * naive, $"{error} of {naive}");
    }

    [Fact]
    public void TheSameSeedLearnsTheSameAndAnotherOneSomethingElse()
    {
        var one = New().Observe(0, 200).Train().Saved();
        Assert.Equal(one, New().Observe(0, 200).Train().Saved());
        Assert.NotEqual(one, New(Small with { Seed = 2 }).Observe(0, 200).Train().Saved());
    }

    [Fact]
    public void AdamIsThatOfThePaper()
    {
        float[] at = [0.5f, -2, 3], slope = [0.1f, -4, 0];
        double[] expected = [0.5, -2, 3], mean = new double[3], square = new double[3];
        using var scope = torch.NewDisposeScope();
        var parameter = new Parameter(torch.tensor(at));
        using var adam = new Adam([parameter], learningRate: 0.01);
        for (var step = 1; step <= 5; step++)
        {
            adam.Clear();
            // Another slope with each step.
            (parameter * torch.tensor(slope)).sum().backward();
            adam.Step();
            for (var i = 0; i < 3; i++)
            {
                mean[i] = 0.9 * mean[i] + 0.1 * slope[i];
                square[i] = 0.999 * square[i] + 0.001 * slope[i] * slope[i];
                expected[i] -= 0.01 * (mean[i] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(square[i] / (1 - Math.Pow(0.999, step))) + 1e-8);
                slope[i] *= -0.7f;
            }
        }
        Assert.All(expected.Zip(parameter.detach().data<float>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 5));
    }

    [Fact]
    public void WhatTheHostHasSetInLibtorchChangesNothing()
    {
        var alone = New().Observe(0, 200).Train().Saved();
        torch.set_default_dtype(torch.ScalarType.Float64);
        torch.set_default_device(torch.META);
        try
        {
            Assert.Equal(alone, New().Observe(0, 200).Train().Saved());
        }
        finally
        {
            torch.set_default_dtype(torch.ScalarType.Float32);
            torch.set_default_device(torch.CPU);
        }
    }

    [Fact]
    public async Task GarbageCollectionsMeanwhileChangeNothing()
    {
        var undisturbed = New(Good).Observe(0, 400).Train().Saved();
        using var stop = new CancellationTokenSource();
        var collecting = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }, TestContext.Current.CancellationToken);
        try
        {
            Assert.Equal(undisturbed, New(Good).Observe(0, 400).Train().Saved());
        }
        finally
        {
            await stop.CancelAsync();
            await collecting;
        }
    }

    [Fact]
    public void TheForecastChangesWithApplyAndNotBefore()
    {
        var forecaster = New().Observe(0, 200);
        var job = forecaster.TakeTrainingJob()!;
        job.Run(default);
        Assert.False(forecaster.HasLearned);
        Assert.Equal(Same(Rate(199)), forecaster.Ahead(200));
        job.Apply();
        Assert.True(forecaster.HasLearned);
        Assert.NotEqual(Same(Rate(199)), forecaster.Ahead(200));
    }

    [Fact]
    public async Task ATrainingSharesNothingWithWhatIsObservedAndForecastMeanwhile()
    {
        var (forecaster, twin) = (New().Observe(0, 200), New().Observe(0, 200).Train());
        var job = forecaster.TakeTrainingJob()!;
        var running = Task.Run(() => job.Run(default), TestContext.Current.CancellationToken);
        for (var minute = 200; minute < 290; minute++)
        {
            Assert.Equal(Same(Rate(minute - 1)), forecaster.Ahead(minute));
            forecaster.Observe(minute, 1);
        }
        await running;
        Assert.Equal(Same(Rate(289)), forecaster.Ahead(290));
        job.Apply();
        // What came after the job was taken changes nothing of what it learned.
        Assert.Equal(twin.Saved(), forecaster.Saved());
        Assert.Equal(twin.Observe(200, 90).Ahead(290), forecaster.Ahead(290));
    }

    [Fact]
    public void TheNextTrainingGoesOnFromWhatWasLearned()
    {
        // With steps of nearly nothing what was learned before stays, and from none nothing is learned.
        var still = Good with { LearningRate = 1e-12, Epochs = 2 };
        var forecaster = New(still);
        forecaster.Load(new MemoryStream(Learned.Saved()));
        forecaster.Observe(0, 400);
        var before = forecaster.Ahead(400);
        forecaster.Train();
        Assert.All(before.Zip(forecaster.Ahead(400)), pair => Assert.Equal(pair.First, pair.Second, 2));
        Assert.All(New(still).Observe(0, 400).Train().Ahead(400), rate => Assert.Equal(Rate(399), rate, 2));
        Assert.True(before.Max() - before.Min() > 5);
    }

    [Fact]
    public async Task WhileItIsTrainedAgainForecastsAreThoseOfTheWeightsBefore()
    {
        var (forecaster, twin) = (New(Good), New(Good));
        forecaster.Load(new MemoryStream(Learned.Saved()));
        twin.Load(new MemoryStream(Learned.Saved()));
        for (var minute = 0; minute < 400; minute++)
        {
            forecaster.Observe(Monday + minute * Minute, 3 * Rate(minute));
            twin.Observe(Monday + minute * Minute, 3 * Rate(minute));
        }
        var job = forecaster.TakeTrainingJob()!;
        var running = Task.Run(() => job.Run(default), TestContext.Current.CancellationToken);
        for (var minute = 400; minute < 450; minute++)
        {
            Assert.Equal(twin.Observe(minute, 1).Ahead(minute + 1), forecaster.Observe(minute, 1).Ahead(minute + 1));
        }
        await running;
        Assert.Equal(twin.Ahead(450), forecaster.Ahead(450));
        job.Apply();
        Assert.NotEqual(twin.Ahead(450), forecaster.Ahead(450));
    }

    [Fact]
    public void AnotherScaleOfTheSameIsLearnedOn()
    {
        var forecaster = New(Good with { Epochs = 60 });
        forecaster.Load(new MemoryStream(Learned.Saved()));
        for (var minute = 0; minute < 400; minute++)
        {
            forecaster.Observe(Monday + minute * Minute, 10 * Rate(minute));
        }
        forecaster.Train();
        var ahead = forecaster.Ahead(400);
        var error = ahead.Select((rate, step) => Math.Abs(rate - 10 * Rate(400 + step))).Sum();
        var naive = ahead.Select((_, step) => Math.Abs(10 * Rate(399) - 10 * Rate(400 + step))).Sum();
        Assert.True(error < 0.3 * naive, $"{error} of {naive}");
    }

    [Fact]
    public void WhatCannotBeLearnedLeavesTheLastValue()
    {
        var forecaster = New(Small with { Epochs = 10, MinimumHistory = 400 });
        for (var minute = 0; minute < 400; minute++)
        {
            forecaster.Observe(Monday + minute * Minute, 5);
        }
        forecaster.Train();
        Assert.All(forecaster.Ahead(400), rate => Assert.Equal(5, rate, 2));
    }

    [Fact]
    public void TheForwardPassIsLibtorchs()
    {
        var shape = new LstmShape(Minute.Ticks, 7, 12, 5);
        var weights = Drawn(shape, 9, centre: 0.2, scale: 25);
        var rates = Enumerable.Range(0, 13).Select(Rate).ToArray();
        var path = new double[5];
        weights.Forecast(rates, new LstmScratch(shape), path);

        using var scope = torch.NewDisposeScope();
        using var lstm = torch.nn.LSTM(1, 7);
        using var output = torch.nn.Linear(7, 5);
        using (torch.no_grad())
        {
            foreach (var (name, parameter) in lstm.named_parameters())
            {
                parameter.copy_(name switch
                {
                    "weight_ih_l0" => torch.tensor(weights.Input, [28, 1]),
                    "weight_hh_l0" => torch.tensor(weights.Recurrent, [28, 7]),
                    "bias_ih_l0" => torch.tensor(weights.Bias, [28]),
                    "bias_hh_l0" => torch.zeros(28),
                    _ => throw new InvalidOperationException(name),
                });
            }
            output.weight.copy_(torch.tensor(weights.Output, [5, 7]));
            output.bias!.copy_(torch.tensor(weights.OutputBias, [5]));
        }
        var changes = rates[1..].Zip(rates, (to, from) => (float)((to - from - 0.2) / 25)).ToArray();
        var (_, hidden, _) = lstm.call(torch.tensor(changes, [12, 1, 1]));
        var answers = output.call(hidden.squeeze(0)).detach().data<float>().ToArray();
        Assert.All(answers, answer => Assert.InRange(answer, -1, 1));
        var rate = rates[^1];
        Assert.All(answers.Zip(path), pair => Assert.Equal(rate += pair.First * 25 + 0.2, pair.Second, 3));
    }

    [Fact]
    public void ATrainingLeavesNoTensorAndNoThreadsBehind()
    {
        New().Observe(0, 200).Train();
        var threads = torch.get_num_threads();
        torch.set_num_threads(2);
        try
        {
            var miscounted = Miscounted;
            var (tensors, scopes) = (torch.Tensor.TotalCount, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
            New(Small with { Epochs = 5 }).Observe(0, 200).Train();
            Assert.Equal(tensors + miscounted, torch.Tensor.TotalCount);
            Assert.Equal(scopes, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
            Assert.Equal(2, torch.get_num_threads());
        }
        finally
        {
            torch.set_num_threads(threads);
        }
    }

    [Fact]
    public void AJobThatWasCancelledBeforeItRanDoesNothing()
    {
        var forecaster = New().Observe(0, 200);
        var job = forecaster.TakeTrainingJob()!;
        Assert.ThrowsAny<OperationCanceledException>(() => job.Run(new CancellationToken(canceled: true)));
        Assert.Throws<InvalidOperationException>(job.Apply);
        Assert.False(forecaster.HasLearned);
    }

    [Fact]
    public async Task ATrainingThatIsCancelledEndsWithTheBatchAndLeavesNothing()
    {
        New().Observe(0, 200).Train();
        var miscounted = Miscounted;
        var before = torch.Tensor.TotalCount;
        // Of many epochs, each of many batches.
        var forecaster = New(Small with { HiddenUnits = 256, Window = 200, Epochs = 10_000, MinimumHistory = 4000 }).Observe(0, 4000);
        var job = forecaster.TakeTrainingJob()!;
        using var cancel = new CancellationTokenSource();
        var running = Task.Run(() => job.Run(cancel.Token), TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(() => torch.Tensor.TotalCount > before + 10 || running.IsCompleted, TimeSpan.FromMinutes(1)));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.False(forecaster.HasLearned);
        Assert.Equal(Same(Rate(3999)), forecaster.Ahead(4000));
        Assert.Equal(before + miscounted, torch.Tensor.TotalCount);
    }

    [Fact]
    public void ATrainingThatIsCancelledWhileItWaitsForItsTurnEnds()
    {
        var forecaster = New().Observe(0, 200);
        var job = forecaster.TakeTrainingJob()!;
        using var cancel = new CancellationTokenSource();
        using (TorchRuntime.Enter(threads: 1, default))
        {
            // All on this thread, since the number of threads that the turn sets back is the thread's.
            Exception? thrown = null;
            var thread = new Thread(() => thrown = Record.Exception(() => job.Run(cancel.Token))) { IsBackground = true };
            thread.Start();
            Assert.True(SpinWait.SpinUntil(() => thread.ThreadState.HasFlag(ThreadState.WaitSleepJoin), TimeSpan.FromMinutes(1)));
            cancel.Cancel();
            Assert.True(thread.Join(TimeSpan.FromMinutes(1)));
            Assert.IsAssignableFrom<OperationCanceledException>(thrown);
        }
        Assert.False(forecaster.HasLearned);
        // The turn it did not take is another's.
        New().Observe(0, 200).Train();
    }

    [Fact]
    public void WhatIsMissingIsNamedInTheVersionsThatAreTested()
    {
        var torchSharp = typeof(torch).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
        Assert.StartsWith("2.10.0", torch.__version__);
        Assert.Contains($"2.10.0 for TorchSharp {torchSharp})", new LibTorchMissingException("none").Message);
    }

    [Fact]
    public async Task TrainingsOfSeveralModelsTakeTurnsAndLearnWhatTheyWouldAlone()
    {
        var alone = New().Observe(0, 200).Train().Saved();
        var forecasters = Enumerable.Range(0, 4).Select(_ => New().Observe(0, 200)).ToArray();
        var threads = torch.get_num_threads();
        await Task.WhenAll(forecasters.Select(forecaster => Task.Run(() => forecaster.Train())));
        Assert.All(forecasters, forecaster => Assert.Equal(alone, forecaster.Saved()));
        Assert.Equal(threads, torch.get_num_threads());
    }
}
