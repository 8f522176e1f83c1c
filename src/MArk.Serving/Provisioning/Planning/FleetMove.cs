namespace MArk.Serving.Provisioning.Planning;

/// <summary>A change of one type's count, or of two types' at once, over the steps of an interval.</summary>
/// <param name="Type">The type.</param>
/// <param name="By">What its count changes by.</param>
/// <param name="Other">The other type; -1 for none.</param>
/// <param name="OtherBy">What the other's count changes by.</param>
/// <param name="From">The first step.</param>
/// <param name="To">The step after the last.</param>
internal readonly record struct FleetMove(int Type, int By, int Other, int OtherBy, int From, int To)
{
    public FleetMove Reverse() => this with { By = -By, OtherBy = -OtherBy };
}
