using MArk.Serving.Diagnostics;
using MArk.Serving.Engine;

namespace MArk.Serving.Hosting;

/// <summary>A model of a host.</summary>
internal sealed class ServedModel<TIn, TOut>(ModelEngine<TIn, TOut> engine, IModelMonitor monitor) : IServedModel<TIn, TOut>
{
    public string Name => engine.ModelName;

    public ModelSignature? Signature => engine.Signature;

    public bool IsReady => engine.IsReady;

    public IModelMonitor Monitor => monitor;

    public IModelClient<TIn, TOut> Client => engine;

    public IModelReloader<TIn, TOut> Reloader => engine;

    public TResult Accept<TResult>(IServedModelVisitor<TResult> visitor)
    {
        ArgumentNullException.ThrowIfNull(visitor);
        return visitor.Visit(this);
    }
}
