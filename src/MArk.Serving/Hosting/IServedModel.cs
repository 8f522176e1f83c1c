using MArk.Serving.Diagnostics;

namespace MArk.Serving.Hosting;

/// <summary>
/// A model of a host, whatever its types are: for what treats all models alike, such as endpoints and dashboards. All of them are the services <see cref="IServedModel"/>, in the order in which
/// they were added.
/// </summary>
public interface IServedModel
{
    /// <summary>The model's name.</summary>
    string Name { get; }

    /// <summary>The tensors that requests bring and get; <see langword="null"/> where the model has none, or is not opened yet.</summary>
    ModelSignature? Signature { get; }

    /// <summary>Whether the model is started and has an instance, so that a request that comes now can be served.</summary>
    bool IsReady { get; }

    /// <summary>What the model does.</summary>
    IModelMonitor Monitor { get; }

    /// <summary>Hands the model to a visitor with its types.</summary>
    /// <typeparam name="TResult">What the visitor makes of it.</typeparam>
    /// <param name="visitor">The visitor.</param>
    /// <returns>What it made of it.</returns>
    TResult Accept<TResult>(IServedModelVisitor<TResult> visitor);
}

/// <summary>A model of a host, with its types.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public interface IServedModel<TIn, TOut> : IServedModel
{
    /// <summary>Asks the model.</summary>
    IModelClient<TIn, TOut> Client { get; }

    /// <summary>Puts another version in its place.</summary>
    IModelReloader<TIn, TOut> Reloader { get; }
}

/// <summary>Takes models of any types.</summary>
/// <typeparam name="TResult">What it makes of one.</typeparam>
public interface IServedModelVisitor<out TResult>
{
    /// <summary>Takes a model.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <returns>What is made of it.</returns>
    TResult Visit<TIn, TOut>(IServedModel<TIn, TOut> model);
}
