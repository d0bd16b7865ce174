#!/usr/bin/env bash
# Tests of the packages that changed since the branch's upstream (or the last commit), and of those that depend on them.
set -euo pipefail
cd "$(dirname "$0")/../.."

base=$(git merge-base HEAD '@{upstream}' 2>/dev/null || git rev-parse HEAD)
changed=$({ git diff --name-only "$base"; git ls-files --others --exclude-standard; } | sort -u)
[[ -n $changed ]] || { echo "nothing changed"; exit 0; }

# A package is the nearest folder with a Cargo.toml; what lies beside them all concerns them all.
filter=
while read -r file; do
  case $file in
    docs/*|*.md|.github/*|.githooks/*|infra/params/*|infra/tools/*) continue ;;
    functions/*/*|shared/*/*) package=satchel-$(cut -d/ -f2 <<<"$file") ;;
    infra/local/*) package=satchel-local ;;
    tests/*) package=satchel-tests ;;
    *) filter='all()'; break ;;
  esac
  [[ $filter == *"rdeps($package)"* ]] || filter+="${filter:+ | }rdeps($package)"
done <<<"$changed"
[[ -n $filter ]] || { echo "nothing changed that has tests"; exit 0; }

if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --no-tests pass -E "$filter"
else
  cargo test --workspace
fi
