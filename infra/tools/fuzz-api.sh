#!/usr/bin/env bash
# Fuzzes the API of a local stack from its own OpenAPI document, with every check that schemathesis has.
#   make fuzz                EXAMPLES=200 SEED=7 make fuzz for more or other ones
# SATCHEL_LOCAL is the local process; SATCHEL_URL instead of it takes one that runs already (and spoils its data).
set -euo pipefail
cd "$(dirname "$0")/../.."

examples=${EXAMPLES:-25}
seed=${SEED:-1}
work=$(mktemp -d)
process=
# shellcheck disable=SC2317,SC2329 # the trap calls it
stop() {
  if [[ -n $process ]]; then kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

if [[ -n ${SATCHEL_URL:-} ]]; then
  url=$SATCHEL_URL
else
  listen=$(port)
  url=http://127.0.0.1:$listen
  # One person brings all receipts here: the limits would hide what comes behind them.
  "${SATCHEL_LOCAL:?where the binary satchel-local is}" --port "$listen" --ws-port "$(port)" --aws-port 0 --data memory \
    --param ReceiptLimitHour=1000000 --param ReceiptLimitDay=1000000 >"$work/local.log" 2>&1 &
  process=$!
  for _ in $(seq 150); do
    curl -fsS -o "$work/health" "$url/health" 2>/dev/null && break
    kill -0 "$process" 2>/dev/null || { echo "fuzz: the local process ended:" >&2; tail -50 "$work/local.log" >&2; exit 1; }
    sleep 0.2
  done
  curl -fsS -o "$work/health" "$url/health" || { tail -50 "$work/local.log" >&2; exit 1; }
fi

post() { curl -fsS -X POST "$url$1" -H 'content-type: application/json' -d "$2" "${@:3}"; }

# A person with the add-on, and a service with every scope.
id_token=$(post /_local/identity '{"provider": "google", "subject": "fuzz", "email": "fuzz@example.com"}' | field id_token)
signed_in=$(post /auth/google "{\"id_token\": \"$id_token\", \"device\": {\"name\": \"fuzz\", \"platform\": \"linux\"}}")
person=$(field access_token <<<"$signed_in")
user=$(field user_id <<<"$signed_in")
service=$(curl -fsS "$url/auth/token" -u local-backoffice:local-backoffice-secret -d grant_type=client_credentials | field access_token)
post /payments/grants "{\"user_id\": \"$user\", \"add_on_type\": \"sync\", \"reason\": \"fuzz\"}" \
  -H "authorization: Bearer $service" >/dev/null

# What ends the session or the account comes last, on its own.
ending=(
  --include-name 'DELETE /auth/me' --include-name 'POST /auth/logout'
  --include-name 'DELETE /auth/sessions/{device_id}' --include-name 'DELETE /devices/{id}'
)
lasting=("${ending[@]/--include-name/--exclude-name}")
# What people are not let to: the service's own.
services='^/(payments/grants|auth/customers/.*)$'

failed=0
fuzz() {
  local title=$1 token=$2
  shift 2
  echo "== fuzz: $title"
  schemathesis --config-file infra/tools/schemathesis.toml run "$url/openapi.json" \
    --checks all --mode all --max-examples "$examples" --seed "$seed" --request-timeout 20 \
    --header "Authorization:Bearer $token" --continue-on-failure "$@" || failed=1
}
fuzz "as a person" "$person" "${lasting[@]}" --exclude-path-regex "$services"
fuzz "as a service" "$service" --include-path-regex "$services"
fuzz "as a person, what ends a session" "$person" "${ending[@]}" --phases examples,coverage,fuzzing

if [[ -n $process ]] && ! kill -0 "$process" 2>/dev/null; then
  echo "fuzz: the local process died" >&2
  failed=1
fi
if [[ $failed != 0 && -n $process ]]; then
  echo "== the local process's last lines" >&2
  tail -40 "$work/local.log" >&2
fi
exit "$failed"
