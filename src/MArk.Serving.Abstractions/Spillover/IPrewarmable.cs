namespace MArk.Serving;

/// <summary>A spillover target whose environments start cold, and can be started before they are needed. A target may implement it beside <see cref="ISpilloverTarget{TIn, TOut}"/>.</summary>
public interface IPrewarmable
{
    /// <summary>Starts environments until as many are warm and free, or as many as the target may have. Called when the objective is broken; may be called again while it runs.</summary>
    /// <param name="concurrency">How many requests at a time should find a warm environment; at least 1.</param>
    /// <param name="cancellationToken">Cancelled when the host stops.</param>
    /// <returns>When they are warm.</returns>
    ValueTask PrewarmAsync(int concurrency, CancellationToken cancellationToken);
}
