using Google.OrTools.LinearSolver;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Benchmarks.Planning;

/// <summary>The exact optimum of a <see cref="FleetProblem"/>, by Google OR-Tools: a mixed-integer program, or its linear relaxation.</summary>
internal static class FleetOptimum
{
    /// <summary>The least that any schedule of whole instances costs.</summary>
    /// <exception cref="InvalidOperationException">The solver did not prove an optimum.</exception>
    public static double OfWholeInstances(FleetProblem problem) => Solve(problem, "SCIP", isWhole: true);

    /// <summary>The least that any schedule costs if instances could be divided: no schedule costs less.</summary>
    /// <exception cref="InvalidOperationException">The solver did not prove an optimum.</exception>
    public static double LowerBound(FleetProblem problem) => Solve(problem, "GLOP", isWhole: false);

    private static double Solve(FleetProblem problem, string solverName, bool isWhole)
    {
        using var solver = Solver.CreateSolver(solverName) ?? throw new InvalidOperationException($"OR-Tools has no solver '{solverName}' on this machine.");
        var objective = solver.Objective();
        var counts = new Variable[problem.Types.Length, problem.Steps];
        for (var k = 0; k < problem.Types.Length; k++)
        {
            AddType(problem, solver, objective, k, counts, isWhole);
        }
        for (var t = 0; t < problem.Steps; t++)
        {
            for (var i = 0; i < problem.Points; i++)
            {
                var missed = solver.MakeNumVar(0, double.PositiveInfinity, "");
                objective.SetCoefficient(missed, problem.Weight(i));
                var covered = solver.MakeConstraint(problem.Demand(t, i), double.PositiveInfinity, "");
                covered.SetCoefficient(missed, 1);
                for (var k = 0; k < problem.Types.Length; k++)
                {
                    covered.SetCoefficient(counts[k, t], problem.Types[k].Capacity);
                }
            }
        }
        objective.SetMinimization();
        using var parameters = new MPSolverParameters();
        parameters.SetDoubleParam(MPSolverParameters.DoubleParam.RELATIVE_MIP_GAP, 1e-6);
        var status = solver.Solve(parameters);
        return status == Solver.ResultStatus.OPTIMAL ? objective.Value() : throw new InvalidOperationException($"{solverName} ended with {status}; an optimum was to be proved.");
    }

    private static void AddType(FleetProblem problem, Solver solver, Objective objective, int k, Variable[,] counts, bool isWhole)
    {
        var type = problem.Types[k];
        var started = new Variable[problem.Steps];
        var most = Math.Min(type.Max, MostOfUse(problem, type));
        for (var t = 0; t < problem.Steps; t++)
        {
            counts[k, t] = solver.MakeVar(0, most, isWhole, "");
            started[t] = solver.MakeVar(0, t < type.Lead ? 0 : most, isWhole, "");
            objective.SetCoefficient(counts[k, t], type.Price);
            objective.SetCoefficient(started[t], type.LaunchCost);

            // n_t - n_t-1 <= started_t
            var growth = solver.MakeConstraint(double.NegativeInfinity, t == 0 ? type.Running : 0, "");
            growth.SetCoefficient(counts[k, t], 1);
            growth.SetCoefficient(started[t], -1);
            if (t > 0)
            {
                growth.SetCoefficient(counts[k, t - 1], -1);
            }

            // what started within the minimum serves
            var minimum = solver.MakeConstraint(0, double.PositiveInfinity, "");
            minimum.SetCoefficient(counts[k, t], 1);
            for (var s = Math.Max(0, t - type.MinimumUp + 1); s <= t; s++)
            {
                minimum.SetCoefficient(started[s], -1);
            }
        }
    }

    /// <summary>What runs, or what covers the highest demand alone: more of a type can only cost more.</summary>
    private static double MostOfUse(FleetProblem problem, FleetType type)
    {
        var highest = 0.0;
        for (var t = 0; t < problem.Steps; t++)
        {
            for (var i = 0; i < problem.Points; i++)
            {
                highest = Math.Max(highest, problem.Demand(t, i));
            }
        }
        return Math.Max(type.Running, Math.Ceiling(highest / type.Capacity));
    }
}
