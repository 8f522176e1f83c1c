using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>The memory of one tensor for a whole batch: pinned and reused, so that ONNX Runtime reads and writes it in place. Strings are kept as such.</summary>
internal sealed class BatchBuffer(TensorSpec spec)
{
    private readonly int _elementSize = TensorElementTypes.SizeOf(spec.ElementType);
    private readonly bool _isString = spec.ElementType == TensorElementType.String;
    private int _itemSize;      // one item's bytes
    private byte[] _bytes = [];
    private string[] _strings = [];

    public TensorSpec Spec { get; } = spec;

    /// <summary>One item's shape, without the batch.</summary>
    public long[] ItemShape { get; } = new long[spec.ItemShape.Length];

    public long ItemLength { get; private set; }

    /// <summary>Makes room for a batch of items of a shape. Memory handed out before stays valid unless it has to grow.</summary>
    public bool Reserve(ReadOnlySpan<long> itemShape, int batch)
    {
        itemShape.CopyTo(ItemShape);
        ItemLength = 1;
        foreach (var dimension in itemShape)
        {
            ItemLength = checked(ItemLength * dimension);
        }
        var elements = checked((int)(ItemLength * batch));
        _itemSize = checked((int)ItemLength * _elementSize);
        if (_isString ? _strings.Length >= elements : _bytes.Length >= elements * _elementSize)
        {
            return false;
        }
        if (_isString)
        {
            _strings = new string[elements];
            Array.Fill(_strings, "");
        }
        else
        {
            _bytes = GC.AllocateArray<byte>(checked(elements * _elementSize), pinned: true);
        }
        return true;
    }

    public TensorItem Item(int index) => _isString
        ? new TensorItem(Spec, ItemShape, _strings.AsSpan(index * (int)ItemLength, (int)ItemLength))
        : new TensorItem(Spec, ItemShape, _bytes.AsSpan(index * _itemSize, _itemSize));

    /// <summary>Blanks the rows of a fixed batch that no request fills.</summary>
    public void Blank(int from, int to)
    {
        if (_isString)
        {
            _strings.AsSpan(from * (int)ItemLength, (to - from) * (int)ItemLength).Fill("");
        }
        else
        {
            _bytes.AsSpan(from * _itemSize, (to - from) * _itemSize).Clear();
        }
    }

    /// <summary>The first rows as ONNX Runtime sees them: over this memory, not a copy (strings are copied, as ONNX Runtime owns its own).</summary>
    public OrtValue ToOrt(int batch)
    {
        long[] shape = [batch, .. ItemShape];
        if (!_isString)
        {
            var size = batch * _itemSize;
            // Pinned: the address holds for the array's life. An empty tensor has no first element to take the address of.
            var address = _bytes.Length == 0 ? IntPtr.Zero : System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_bytes, 0);
            return OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, OnnxModel.ToOrt(Spec.ElementType), shape, address, size);
        }
        var value = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        for (var i = 0; i < batch * ItemLength; i++)
        {
            value.StringTensorSetElementAt(_strings[i].AsSpan(), i);
        }
        return value;
    }
}
