namespace MArk.Serving.OpenInference.Delivery;

/// <summary>A model is not loaded or unloaded, as what was asked for is not accepted; says what is.</summary>
internal sealed class RepositoryException(string message) : Exception(message);
