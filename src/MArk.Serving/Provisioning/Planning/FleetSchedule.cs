namespace MArk.Serving.Provisioning.Planning;

/// <summary>A schedule under way: how many instances of each type serve at each step, with what follows from that kept beside it.</summary>
internal sealed class FleetSchedule
{
    private readonly FleetProblem _problem;
    private readonly int[] _serving;        // type by type, step by step
    private readonly int[] _active;         // as above: those that serve or are on their way
    private readonly int[] _activeTotal;    // by step
    private readonly double[] _spend;       // by step
    private readonly double[] _capacity;    // by step
    private readonly double[] _missCost;    // by step
    private readonly int[] _most;           // by type
    private readonly int[] _scratch;

    /// <summary>The running fleet, kept to the end.</summary>
    public FleetSchedule(FleetProblem problem)
    {
        _problem = problem;
        var (types, steps) = (problem.Types.Length, problem.Steps);
        _serving = new int[types * steps];
        _active = new int[types * steps];
        _most = new int[types];
        _scratch = new int[2 * steps];
        _activeTotal = new int[steps];
        _spend = new double[steps];
        _capacity = new double[steps];
        _missCost = new double[steps];
        for (var k = 0; k < types; k++)
        {
            Array.Fill(_serving, problem.Types[k].Running, k * steps, steps);
        }
        Update();
    }

    public ReadOnlySpan<int> All => _serving;

    public ReadOnlySpan<double> Capacity => _capacity;

    public ReadOnlySpan<double> MissCost => _missCost;

    public ReadOnlySpan<int> ActiveTotal => _activeTotal;

    public ReadOnlySpan<double> Spend => _spend;

    public ReadOnlySpan<int> Serving(int type) => _serving.AsSpan(type * _problem.Steps, _problem.Steps);

    /// <summary>The most of a type that serve at any step.</summary>
    public int Most(int type) => _most[type];

    public ReadOnlySpan<int> Active(int type) => _active.AsSpan(type * _problem.Steps, _problem.Steps);

    /// <summary>The most of a type that serve or are on their way at any step.</summary>
    public int Highest(int type) => Highest(Active(type));

    public void Restore(ReadOnlySpan<int> serving)
    {
        serving.CopyTo(_serving);
        Update();
    }

    /// <summary>Lets running instances go, from the first step to the last, whatever the bounds say.</summary>
    public void LetGo(int type, int count)
    {
        var move = new FleetMove(type, -count, -1, 0, 0, _problem.Steps);
        Add(move);
        Commit(move);
    }

    /// <summary>Makes a move if it leads past no bound, or no further past one.</summary>
    public bool TryApply(in FleetMove move)
    {
        Add(move);
        if (!IsWithinBounds(move))
        {
            Add(move.Reverse());
            return false;
        }
        Commit(move);
        return true;
    }

    /// <summary>Whether a move leads past no bound, or no further past one.</summary>
    public bool Allows(in FleetMove move)
    {
        Add(move);
        var isAllowed = IsWithinBounds(move);
        Add(move.Reverse());
        return isAllowed;
    }

    private void Add(in FleetMove move)
    {
        Add(move.Type, move.By, move.From, move.To);
        if (move.Other >= 0)
        {
            Add(move.Other, move.OtherBy, move.From, move.To);
        }
    }

    private void Add(int type, int by, int from, int to)
    {
        foreach (ref var count in _serving.AsSpan(type * _problem.Steps + from, to - from))
        {
            count += by;
        }
    }

    private bool IsWithinBounds(in FleetMove move)
    {
        var steps = _problem.Steps;
        if (!IsPossible(move.Type, move.From, move.To) || (move.Other >= 0 && !IsPossible(move.Other, move.From, move.To)))
        {
            return false;
        }
        var first = _scratch.AsSpan(0, steps);
        var second = _scratch.AsSpan(steps, steps);
        _problem.Active(move.Type, Serving(move.Type), first);
        second.Clear();
        if (move.Other >= 0)
        {
            _problem.Active(move.Other, Serving(move.Other), second);
        }
        var maxFirst = _problem.Types[move.Type].Max;
        var maxSecond = move.Other >= 0 ? _problem.Types[move.Other].Max : 0;
        for (var t = 0; t < steps; t++)
        {
            var more = first[t] - Active(move.Type)[t];
            var otherMore = move.Other >= 0 ? second[t] - Active(move.Other)[t] : 0;
            var spendMore = more * _problem.Types[move.Type].Billed + (move.Other >= 0 ? otherMore * _problem.Types[move.Other].Billed : 0);
            var total = _activeTotal[t] + more + otherMore;
            if ((first[t] > maxFirst && more > 0)
                || (second[t] > maxSecond && otherMore > 0)
                || (total > _problem.MaxInstances && more + otherMore > 0)
                || (total < _problem.MinInstances && more + otherMore < 0)
                || (_spend[t] + spendMore > _problem.MaxSpend && spendMore > 0))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>No count below zero, nothing launched that cannot be there yet, and every launch serves its minimum.</summary>
    private bool IsPossible(int type, int from, int to)
    {
        var row = Serving(type);
        var (lead, minimum) = (_problem.Types[type].Lead, _problem.Types[type].MinimumUp);
        for (var t = from; t < Math.Min(to + minimum, row.Length); t++)
        {
            if (row[t] < 0
                || (t < lead && _problem.Started(type, row, t) > 0)
                || (minimum > 1 && row[t] < _problem.StartedWithinMinimum(type, row, t)))
            {
                return false;
            }
        }
        return true;
    }

    private void Commit(in FleetMove move)
    {
        UpdateActive(move.Type);
        if (move.Other >= 0)
        {
            UpdateActive(move.Other);
        }
        var by = move.By * _problem.Types[move.Type].Capacity + (move.Other >= 0 ? move.OtherBy * _problem.Types[move.Other].Capacity : 0);
        for (var t = move.From; t < move.To; t++)
        {
            _capacity[t] += by;
            _missCost[t] = _problem.MissCost(t, _capacity[t]);
        }
    }

    private void UpdateActive(int type)
    {
        var now = _scratch.AsSpan(0, _problem.Steps);
        _problem.Active(type, Serving(type), now);
        var before = _active.AsSpan(type * _problem.Steps, _problem.Steps);
        for (var t = 0; t < now.Length; t++)
        {
            _activeTotal[t] += now[t] - before[t];
            _spend[t] += (now[t] - before[t]) * _problem.Types[type].Billed;
        }
        now.CopyTo(before);
        _most[type] = Highest(Serving(type));
    }

    private void Update()
    {
        Array.Clear(_active);
        Array.Clear(_activeTotal);
        Array.Clear(_spend);
        Array.Clear(_capacity);
        for (var k = 0; k < _problem.Types.Length; k++)
        {
            UpdateActive(k);
            var row = Serving(k);
            for (var t = 0; t < row.Length; t++)
            {
                _capacity[t] += row[t] * _problem.Types[k].Capacity;
            }
        }
        for (var t = 0; t < _capacity.Length; t++)
        {
            _missCost[t] = _problem.MissCost(t, _capacity[t]);
        }
    }

    private static int Highest(ReadOnlySpan<int> row)
    {
        var most = 0;
        foreach (var count in row)
        {
            most = Math.Max(most, count);
        }
        return most;
    }
}
