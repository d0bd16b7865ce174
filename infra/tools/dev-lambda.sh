#!/usr/bin/env bash
# The real binaries under `cargo lambda watch`, against the services of the local process:
#   make dev-lambda
#   curl http://127.0.0.1:9000/lambda-url/sync/sync/status       <binary>/<path>
# The gateway and the event sources of the local process are not in this loop: call a consumer with
#   cargo lambda invoke sync-on-commit --data-file tests/events/...
set -euo pipefail
cd "$(dirname "$0")/../.."

data=${SATCHEL_DATA:-$PWD/.satchel}
env_file=$data/lambda.env
rm -f "$env_file"
cargo run -p satchel-local --bin satchel-local -- --services-only --data "$data" "$@" &
services=$!
trap 'kill "$services" 2>/dev/null; wait "$services" 2>/dev/null || true' EXIT

# The services write there what the template's settings resolve to, once they listen.
for _ in $(seq 1200); do
  [[ -s $env_file ]] && break
  kill -0 "$services" 2>/dev/null || { echo "dev-lambda: the services did not start" >&2; exit 1; }
  sleep 0.5
done
[[ -s $env_file ]] || { echo "dev-lambda: the services wrote no $env_file" >&2; exit 1; }
cargo lambda watch --invoke-address 127.0.0.1 --env-file "$env_file"
