using Google.OrTools.LinearSolver;

namespace MArk.Serving.Simulation;

/// <summary>What a solver found out about a <see cref="BoundModel"/>.</summary>
/// <param name="Bound">What no solution is cheaper than, US dollars.</param>
/// <param name="MissPrice">What one more request that may be missed would save, US dollars; 0 for whole machines.</param>
/// <param name="Counts">The best solution: machines of each type of the model at each step; <see langword="null"/> if none was found.</param>
internal sealed record BoundSolution(double Bound, double MissPrice, double[][]? Counts);

/// <summary>A <see cref="BoundModel"/> as a linear or a mixed-integer programme, solved by Google OR-Tools.</summary>
internal sealed class BoundProgram : IDisposable
{
    private readonly BoundModel _model;
    private readonly Solver _solver;
    private readonly Objective _objective;
    private readonly Variable[][] _counts;
    private readonly bool _isWhole;
    private readonly double _dollar;        // tolerances are absolute, so costs and requests are in units of what one machine costs and serves
    private readonly double _request;
    private Constraint? _allowance;

    private BoundProgram(BoundModel model, bool isWhole)
    {
        _model = model;
        _isWhole = isWhole;
        _dollar = model.Types.Max(t => t.Price) is > 0 and var price ? price : 1;
        _request = model.Types.Max(t => t.Capacity);
        var name = isWhole ? "SCIP" : "GLOP";
        _solver = Solver.CreateSolver(name) ?? throw new InvalidOperationException($"OR-Tools has no solver '{name}' on this machine.");
        _objective = _solver.Objective();
        _objective.SetMinimization();
        _counts = Array.ConvertAll(model.Types, AddType);
        AddDemand();
    }

    /// <summary>The optimum of machines that can be divided.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InvalidOperationException">The solver failed.</exception>
    public static BoundSolution SolveFractional(BoundModel model, CancellationToken cancellationToken)
    {
        using var programme = new BoundProgram(model, isWhole: false);
        var status = programme.Run(null, null, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        return status == Solver.ResultStatus.OPTIMAL
            ? new BoundSolution(programme.Cost, programme.MissPrice, programme.Counts)
            : throw new InvalidOperationException($"GLOP ended with {status}; an optimum was to be proved.");
    }

    /// <summary>The best solution of whole machines, and the best bound, that can be had in some time.</summary>
    /// <param name="model">What to solve.</param>
    /// <param name="known">A solution that is known: machines of each type at each step.</param>
    /// <param name="gap">How near the bound and the solution need be, as a share.</param>
    /// <param name="limit">The time there is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static BoundSolution SolveWhole(BoundModel model, int[][] known, double gap, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var programme = new BoundProgram(model, isWhole: true);
        programme.Hint(known);
        var status = programme.Run(gap, limit, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        var bound = programme._objective.BestBound() * programme._dollar;
        return new BoundSolution(
            double.IsFinite(bound) ? Math.Max(0, bound) : 0, 0, status is Solver.ResultStatus.OPTIMAL or Solver.ResultStatus.FEASIBLE ? programme.Counts : null);
    }

    public void Dispose() => _solver.Dispose();

    private double Cost => _objective.Value() * _dollar;

    private double MissPrice => _allowance is null ? 0 : Math.Max(0, -_allowance.DualValue() * _dollar / _request);

    private double[][] Counts => Array.ConvertAll(_counts, row => Array.ConvertAll(row, count => count.SolutionValue()));

    private Solver.ResultStatus Run(double? gap, TimeSpan? limit, CancellationToken cancellationToken)
    {
        using var parameters = new MPSolverParameters();
        if (gap is { } share)
        {
            parameters.SetDoubleParam(MPSolverParameters.DoubleParam.RELATIVE_MIP_GAP, share);
        }
        if (limit is { } time)
        {
            _solver.SetTimeLimit((long)Math.Max(1, time.TotalMilliseconds));
        }
        using var giveUp = cancellationToken.Register(() => _solver.InterruptSolve());
        return _solver.Solve(parameters);
    }

    private void Hint(int[][] known) =>
        _solver.SetHint([.. _counts.SelectMany(row => row)], [.. known.SelectMany(row => row).Select(count => (double)count)]);

    private Variable[] AddType(BoundType type)
    {
        var steps = _model.Steps;
        var counts = new Variable[steps];
        var started = new Variable[steps];
        for (var t = 0; t < steps; t++)
        {
            counts[t] = _solver.MakeVar(0, type.Max, _isWhole, "");
            started[t] = _solver.MakeNumVar(0, type.Max, "");
            _objective.SetCoefficient(counts[t], type.Price / _dollar);
            _objective.SetCoefficient(started[t], type.LaunchCostBefore(steps - t) / _dollar);

            // n_t - n_t-1 <= started_t
            var growth = _solver.MakeConstraint(double.NegativeInfinity, t == 0 ? type.Initial : 0, "");
            growth.SetCoefficient(counts[t], 1);
            growth.SetCoefficient(started[t], -1);
            if (t > 0)
            {
                growth.SetCoefficient(counts[t - 1], -1);
            }
            AddMinimum(type, t, counts[t], started);
        }
        return counts;
    }

    private void AddMinimum(in BoundType type, int step, Variable count, Variable[] started)
    {
        var whole = type.WholeMinimum;
        if (whole > 1)
        {
            // What started within the minimum serves.
            var minimum = _solver.MakeConstraint(0, double.PositiveInfinity, "");
            minimum.SetCoefficient(count, 1);
            Add(minimum, from: Math.Max(0, step - whole + 1), -1);
        }
        if (type.RestOfMinimum > 0 && step >= whole)
        {
            // What started just before, and goes now, is billed for the rest.
            var gone = _solver.MakeNumVar(0, double.PositiveInfinity, "");
            _objective.SetCoefficient(gone, type.RestOfMinimum * type.Price / _dollar);
            var rest = _solver.MakeConstraint(0, double.PositiveInfinity, "");
            rest.SetCoefficient(count, 1);
            rest.SetCoefficient(gone, 1);
            Add(rest, from: step - whole, -1);
        }

        void Add(Constraint constraint, int from, double coefficient)
        {
            for (var s = from; s <= step; s++)
            {
                constraint.SetCoefficient(started[s], coefficient);
            }
        }
    }

    private void AddDemand()
    {
        if (!_model.IsHard)
        {
            // What all steps miss is within the allowance, or spilled.
            _allowance = _solver.MakeConstraint(double.NegativeInfinity, _model.Allowed / _request, "");
            if (double.IsFinite(_model.SpillPrice))
            {
                var spilled = _solver.MakeNumVar(0, double.PositiveInfinity, "");
                _objective.SetCoefficient(spilled, _model.SpillPrice * _request / _dollar);
                _allowance.SetCoefficient(spilled, -1);
            }
        }
        for (var t = 0; t < _model.Steps; t++)
        {
            var demand = _model.Demand[t] / _request;
            if (demand <= 0)
            {
                continue;
            }
            var served = _solver.MakeConstraint(demand, double.PositiveInfinity, "");
            for (var i = 0; i < _counts.Length; i++)
            {
                served.SetCoefficient(_counts[i][t], _model.Types[i].Capacity / _request);
            }
            if (_allowance is not null)
            {
                var missed = _solver.MakeNumVar(0, demand, "");
                served.SetCoefficient(missed, 1);
                _allowance.SetCoefficient(missed, 1);
            }
        }
    }
}
