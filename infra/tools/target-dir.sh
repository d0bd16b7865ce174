#!/usr/bin/env bash
# Where cargo puts what it builds, wherever it was told to.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo metadata --no-deps --format-version 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
