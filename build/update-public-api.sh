#!/usr/bin/env bash
# Adds every public symbol that the analyzer misses to its project's PublicAPI.Unshipped.txt, and drops the ones that are gone.
# Usage: build/update-public-api.sh [PROJECT...], after a build   (then read the diff: the public surface is meant to stay small)
set -euo pipefail
cd "$(dirname "$0")/.."
for project in ${@:-src/*/}; do
  file="$project/PublicAPI.Unshipped.txt"
  for _ in 1 2; do
    log=$(dotnet build "$project" --no-incremental --no-dependencies -p:TreatWarningsAsErrors=false -v:q -nologo 2>&1 || true)
    gone=$(grep -F "$(basename "$project").csproj" <<<"$log" | grep -oP "RS0017: Symbol '\K.*(?=' is part of the declared API)" | sort -u || true)
    new=$(grep -F "$(basename "$project").csproj" <<<"$log" | grep -oP "RS0016: Symbol '\K.*(?=' is not part of the declared public API)" | sort -u || true)
    { echo "#nullable enable"; { tail -n +2 "$file" | { [ -n "$gone" ] && grep -vxF "$gone" || cat; }; [ -z "$new" ] || echo "$new"; } | grep -v '^$' | LC_ALL=C sort -u; } > "$file.new"
    mv "$file.new" "$file"
  done
done
