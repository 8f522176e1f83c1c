namespace MArk.Serving.Aws.Ec2;

/// <summary>A machine as its provider follows it.</summary>
internal sealed class Ec2Machine(string id, string fleet, Ec2Offering? offering, string type, DateTimeOffset knownFrom)
{
    public string Id { get; } = id;

    public string Fleet { get; } = fleet;

    /// <summary>What it was launched as; nothing if that is not offered any more.</summary>
    public Ec2Offering? Offering { get; } = offering;

    public string Type { get; set; } = type;

    /// <summary>Since when it is known here. EC2 may not list a machine for some seconds after it was launched.</summary>
    public DateTimeOffset KnownFrom { get; } = knownFrom;

    /// <summary>When it was asked to run, if that was here: from then on its time to readiness counts.</summary>
    public DateTimeOffset? AskedAt { get; set; }

    /// <summary>What EC2 said before this instant of its state is not true any more.</summary>
    public DateTimeOffset SettledAt { get; set; }

    /// <summary>Since when lists miss it; nothing while they have it.</summary>
    public DateTimeOffset? MissingSince { get; set; }

    public bool IsInterrupted { get; set; }

    /// <summary>When it is taken away, as far as that is known.</summary>
    public DateTimeOffset? InterruptedAt { get; set; }

    /// <summary>Whether it is being stopped from here: that its worker does not answer says nothing then.</summary>
    public bool IsStopping { get; set; }

    /// <summary>Whether its time to readiness was taken.</summary>
    public bool IsTimed { get; set; }

    /// <summary>Ends the following of its worker's health; nothing while it is not followed.</summary>
    public CancellationTokenSource? Following { get; set; }
}
