using System.Collections.Immutable;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation;

/// <summary>Writes a simulation's history down, step after step.</summary>
internal sealed class SimulationHistory
{
    private readonly TimeSpan _step;
    private readonly double[] _capacity;            // of one instance of each offering, requests per second
    private readonly TimeWeighted[] _serving;
    private readonly List<SimulationStep> _steps = [];
    private readonly List<long> _inTime = [];       // by the step a request arrived in, which may be over when it is answered
    private long _arrivals;
    private long _spilled;
    private ForecastBand? _forecast;                // of the step that is under way
    private ForecastBand? _next;                    // of the one after it, by the last plan

    /// <param name="step">How long a step is.</param>
    /// <param name="capacity">What one instance of each offering serves, requests per second.</param>
    public SimulationHistory(TimeSpan step, double[] capacity)
    {
        _step = step;
        _capacity = capacity;
        _serving = new TimeWeighted[capacity.Length];
    }

    /// <summary>When the step that is under way ends.</summary>
    public TimeSpan StepEnds => (_steps.Count + 1) * _step;

    public void OnArrival() => _arrivals++;

    public void OnAnsweredInTime(TimeSpan arrival)
    {
        var step = (int)(arrival.Ticks / _step.Ticks);
        while (_inTime.Count <= step)
        {
            _inTime.Add(0);
        }
        _inTime[step]++;
    }

    public void OnSpilled() => _spilled++;

    public void OnServing(TimeSpan now, int offering, int more) => _serving[offering].Add(now, more);

    /// <summary>A plan was made on a forecast.</summary>
    public void OnForecast(TimeSpan now, WorkloadForecast forecast)
    {
        if (now == _steps.Count * _step)
        {
            _forecast = BandOf(forecast, 0);
        }
        _next = BandOf(forecast, (int)((StepEnds - now) / forecast.Step));
    }

    /// <summary>The step under way is over.</summary>
    public void EndStep(TimeSpan now, in CostSummary cost)
    {
        var start = _steps.Count * _step;
        var length = now - start;
        var serving = new double[_serving.Length];
        for (var i = 0; i < serving.Length; i++)
        {
            serving[i] = _serving[i].Take(now) / length.TotalSeconds;
        }
        _steps.Add(new SimulationStep
        {
            Start = start,
            Length = length,
            Arrivals = _arrivals,
            InTime = 0,
            Spilled = _spilled,
            Serving = [.. serving],
            Capacity = [.. serving.Zip(_capacity, (count, each) => count * each)],
            Forecast = _forecast,
            InstanceCost = cost.InstanceCost,
            SpilloverCost = cost.SpilloverCost,
        });
        (_arrivals, _spilled, _forecast, _next) = (0, 0, _next, null);
    }

    /// <summary>What was written, now that every request is answered.</summary>
    public IReadOnlyList<SimulationStep> Read() => [.. _steps.Select((step, i) => step with { InTime = i < _inTime.Count ? _inTime[i] : 0 })];

    private static ForecastBand? BandOf(WorkloadForecast forecast, int step) => step >= forecast.Horizon ? null
        : new ForecastBand(forecast.Quantile(0)[step], forecast.Quantile(forecast.Levels.Length / 2)[step], forecast.Quantile(forecast.Levels.Length - 1)[step]);
}
