using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MArk.Serving.Prediction;

/// <summary>Parts of file names from names that may hold anything.</summary>
internal static class FileNames
{
    private const int Longest = 120;

    /// <summary>
    /// Small letters of the alphabet, digits, '-' and '_' are kept, anything else is <c>%</c> and four hexadecimal digits, so that no two names give the same, on file systems that
    /// do not tell capitals apart either. Very long ones are cut, and end in a hash.
    /// </summary>
    public static string Of(string name)
    {
        var escaped = new StringBuilder();
        foreach (var c in name)
        {
            if (char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_')
            {
                escaped.Append(c);
            }
            else
            {
                escaped.Append(CultureInfo.InvariantCulture, $"%{(int)c:x4}");
            }
        }
        if (escaped.Length > Longest)
        {
            // Of the escaped name, which is ASCII and of no other; '~' is in no name that is not cut.
            var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(escaped.ToString())));
            escaped.Length = Longest - hash.Length;
            escaped.Append('~').Append(hash);
        }
        return escaped.ToString();
    }
}
