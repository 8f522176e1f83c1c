using System.Numerics;

namespace MArk.Serving.Provisioning.Planning;

/// <summary>One kind of machine in a <see cref="FleetProblem"/>.</summary>
/// <param name="Price">What one instance is reckoned to cost a step, US dollars.</param>
/// <param name="Capacity">What one instance serves, requests per second; more than 0.</param>
/// <param name="Lead">Steps from the decision to launch until the instance serves. It is paid for meanwhile: that is the launch overhead.</param>
/// <param name="MinimumUp">Steps an instance serves at least, once launched, since they are billed anyway; at least 1.</param>
/// <param name="Running">Instances there are at the start: they serve from step 0, cost no launch and may go at any step.</param>
/// <param name="Max">The most instances at a time.</param>
internal readonly record struct FleetType(double Price, double Capacity, int Lead, int MinimumUp, int Running, int Max)
{
    /// <summary>What one instance is billed a step, US dollars, which is what a budget is spent on.</summary>
    public double Billed { get; init; } = Price;

    /// <summary>What a launch costs before the instance serves, US dollars (O_i of MArk, USENIX ATC 2019, section 4.3).</summary>
    public double LaunchCost => Price * Lead;
}

/// <summary>What a schedule is expected to cost over the horizon, US dollars.</summary>
/// <param name="Instances">Instances that serve, or are billed for their minimum.</param>
/// <param name="Launches">Instances on their way.</param>
/// <param name="Misses">Requests beyond the fleet's capacity: spilled, or missed and penalised.</param>
internal readonly record struct FleetCost(double Instances, double Launches, double Misses)
{
    public double Total => Instances + Launches + Misses;
}

/// <summary>
/// The provisioning problem, made exact: choose whole numbers n_kt of instances that serve, for every type k and step t, so that
/// <c>sum_kt Price_k n_kt + sum_kt LaunchCost_k max(n_kt - n_k,t-1, 0) + MissPrice sum_t E[(D_t - sum_k Capacity_k n_kt)+]</c> is least
/// (MArk, USENIX ATC 2019, section 4.3, with the forecast's distribution and the price of a miss in place of the point forecast). A type's
/// count grows at no step before its lead; an instance launched serves its minimum; and the instances that serve or are on their way are
/// within each type's maximum, <see cref="MinInstances"/>, <see cref="MaxInstances"/> and <see cref="MaxSpend"/> at every step.
/// </summary>
/// <remarks>A minimum that reaches past the horizon is paid within it only: what comes later is planned later.</remarks>
internal sealed class FleetProblem
{
    private readonly double[] _demand;      // by step, padded to whole vectors
    private readonly double[] _weight;      // MissPrice x probability, padded with zeros
    private readonly int _padded;

    /// <summary>A problem.</summary>
    /// <param name="types">The kinds of machines.</param>
    /// <param name="demand">The arrival rate at each point of each step's distribution, requests per second; step by step.</param>
    /// <param name="probability">The probability of each point, the same in every step; they sum to 1.</param>
    /// <param name="missPrice">What one request per second beyond the capacity costs over one step, US dollars.</param>
    public FleetProblem(FleetType[] types, ReadOnlySpan<double> demand, ReadOnlySpan<double> probability, double missPrice)
    {
        Types = types;
        Points = probability.Length;
        Steps = demand.Length / Points;
        MissPrice = missPrice;
        _padded = (Points + Vector<double>.Count - 1) / Vector<double>.Count * Vector<double>.Count;
        _weight = new double[_padded];
        _demand = new double[Steps * _padded];
        for (var i = 0; i < Points; i++)
        {
            _weight[i] = missPrice * probability[i];
        }
        for (var t = 0; t < Steps; t++)
        {
            demand.Slice(t * Points, Points).CopyTo(_demand.AsSpan(t * _padded));
        }
    }

    public FleetType[] Types { get; }

    public int Steps { get; }

    /// <summary>How many points each step's demand has.</summary>
    public int Points { get; }

    /// <summary>What one request per second beyond the capacity costs over one step, US dollars.</summary>
    public double MissPrice { get; }

    /// <summary>The fewest instances that serve or are on their way.</summary>
    public int MinInstances { get; init; }

    /// <summary>The most instances that serve or are on their way.</summary>
    public int MaxInstances { get; init; } = int.MaxValue;

    /// <summary>The most that all of them may cost a step, US dollars.</summary>
    public double MaxSpend { get; init; } = double.PositiveInfinity;

    /// <summary>What the problem would be without its bounds.</summary>
    public FleetProblem WithoutBounds()
    {
        var demand = new double[Steps * Points];
        var probability = new double[Points];
        for (var i = 0; i < Points; i++)
        {
            probability[i] = _weight[i] / MissPrice;
            for (var t = 0; t < Steps; t++)
            {
                demand[t * Points + i] = Demand(t, i);
            }
        }
        return new FleetProblem(Array.ConvertAll(Types, type => type with { Max = int.MaxValue }), demand, probability, MissPrice);
    }

    /// <summary>What one request per second of a type's capacity costs a step, US dollars, if it is launched and then had for all of the horizon.</summary>
    public double CostOfACapacity(int type) => (Types[type].Price + Types[type].LaunchCost / Steps) / Types[type].Capacity;

    public double Demand(int step, int point) => _demand[step * _padded + point];

    /// <summary>A point's probability times the price of a miss.</summary>
    public double Weight(int point) => _weight[point];

    /// <summary>E[D_t], requests per second.</summary>
    public double MeanDemand(int step)
    {
        var sum = 0.0;
        for (var i = 0; i < Points; i++)
        {
            sum += _weight[i] * Demand(step, i);
        }
        return sum / MissPrice;
    }

    /// <summary>MissPrice x E[(D_t - capacity)+].</summary>
    public double MissCost(int step, double capacity)
    {
        var served = new Vector<double>(capacity);
        var sum = Vector<double>.Zero;
        for (var i = 0; i < _padded; i += Vector<double>.Count)
        {
            sum += Vector.Max(new Vector<double>(_demand, step * _padded + i) - served, Vector<double>.Zero) * new Vector<double>(_weight, i);
        }
        return Vector.Sum(sum);
    }

    /// <summary>What a schedule costs.</summary>
    /// <param name="serving">Instances that serve: type by type, step by step.</param>
    public FleetCost Cost(ReadOnlySpan<int> serving)
    {
        double instances = 0, launches = 0, misses = 0;
        for (var k = 0; k < Types.Length; k++)
        {
            var row = serving.Slice(k * Steps, Steps);
            for (var t = 0; t < Steps; t++)
            {
                // The oldest go first, so what is billed but does not serve is what was launched within the minimum.
                instances += Types[k].Price * Math.Max(row[t], StartedWithinMinimum(k, row, t));
                launches += Types[k].LaunchCost * Started(k, row, t);
            }
        }
        for (var t = 0; t < Steps; t++)
        {
            misses += MissCost(t, CapacityAt(serving, t));
        }
        return new FleetCost(instances, launches, misses);
    }

    /// <summary>Instances of a type that begin to serve at a step.</summary>
    public int Started(int type, ReadOnlySpan<int> row, int step) => Math.Max(0, row[step] - (step == 0 ? Types[type].Running : row[step - 1]));

    /// <summary>Instances of a type that began to serve so lately that they are billed at a step, whether they serve or not.</summary>
    public int StartedWithinMinimum(int type, ReadOnlySpan<int> row, int step)
    {
        var started = 0;
        for (var s = Math.Max(0, step - Types[type].MinimumUp + 1); s <= step; s++)
        {
            started += Started(type, row, s);
        }
        return started;
    }

    /// <summary>Instances of a type that serve or are on their way, at every step.</summary>
    public void Active(int type, ReadOnlySpan<int> row, Span<int> active)
    {
        var lead = Types[type].Lead;
        var coming = 0;
        for (var s = 1; s < Math.Min(lead, Steps); s++)
        {
            coming += Started(type, row, s);
        }
        for (var t = 0; t < Steps; t++)
        {
            coming += lead > 0 && t + lead < Steps ? Started(type, row, t + lead) : 0;
            active[t] = row[t] + coming;
            coming -= lead > 0 && t + 1 < Steps ? Started(type, row, t + 1) : 0;
        }
    }

    /// <summary>What serves of a type, where so many serve or are on their way: each launch its lead later, and one on its way goes first.</summary>
    public void Serving(int type, ReadOnlySpan<int> active, Span<int> row)
    {
        for (var t = 0; t < Steps; t++)
        {
            row[t] = active[t];
            for (var s = t - Types[type].Lead; s < t; s++)
            {
                row[t] = Math.Min(row[t], s < 0 ? Types[type].Running : active[s]);
            }
        }
    }

    private double CapacityAt(ReadOnlySpan<int> serving, int step)
    {
        var capacity = 0.0;
        for (var k = 0; k < Types.Length; k++)
        {
            capacity += Types[k].Capacity * serving[k * Steps + step];
        }
        return capacity;
    }
}
