#!/usr/bin/env bash
# Replaces the signing key of a stage while tokens of the old one stay good until they end.
#   make rotate-keys STAGE=dev
# Three phases, each recognised by what AWS holds, so that a run that broke off goes on where it stopped:
#   1. a new key waits in the secret (AWSPENDING), and all functions accept both keys
#   2. the waiting key becomes the one that auth signs with, and auth's warm instances are replaced
#   3. an hour later, all functions forget the old key
# After phase 2 it says when phase 3 may come and ends; run it again then. WAIT=1 sleeps until then; NOW=1, for a key that
# leaked, goes on at once: every access token of the old key is void, and apps refresh.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws openssl python3
stage

secret=$(output AuthSecretArn)

# labels: which version of the secret carries which label, in $current_version and $pending_version (empty for none).
# One call that either answers or ends the script: a label that could not be read is never taken for none.
labels() {
  local all
  all=$(aws secretsmanager describe-secret --secret-id "$secret" --output json)
  current_version=$(python3 "$tools/rotation.py" version AWSCURRENT <<<"$all")
  pending_version=$(python3 "$tools/rotation.py" version AWSPENDING <<<"$all")
}
value() {
  aws secretsmanager get-secret-value --secret-id "$secret" --version-id "$1" --query SecretString --output text
}

labels
[[ -n $current_version ]] || die "there is no key yet: make keys STAGE=$STAGE"
current=$(value "$current_version")
current_kid=$(python3 "$tools/keys.py" kid <<<"$current")
published=$(parameter TokenKeys)
switched=$(parameter AuthSecretVersion)
phase=$(python3 "$tools/rotation.py" phase "$current_kid" "$published" "$current_version" "$pending_version" \
  "$switched" "$(date -u +%Y-%m-%dT%H:%M:%SZ)")

if [[ $phase == start ]]; then
  say "phase 1: a new key"
  pending=$(python3 "$tools/keys.py" next <<<"$current")
  aws secretsmanager put-secret-value --secret-id "$secret" --version-stages AWSPENDING \
    --secret-string file:///dev/stdin --query VersionId --output text <<<"$pending" >/dev/null
  labels
  phase=publish
fi

if [[ $phase == publish ]]; then
  pending=$(value "$pending_version")
  pending_kid=$(python3 "$tools/keys.py" kid <<<"$pending")
  both=$(printf '%s\n%s\n' "$current" "$pending" | python3 "$tools/keys.py" jwks)
  say "phase 1: all functions accept $current_kid and $pending_kid"
  set_parameters TokenKeys "$both"
  say "phase 2: auth signs with $pending_kid"
  aws secretsmanager update-secret-version-stage --secret-id "$secret" --version-stage AWSCURRENT \
    --move-to-version-id "$pending_version" --remove-from-version-id "$current_version" >/dev/null
  current_kid=$pending_kid
  phase=replace
fi

if [[ $phase == replace ]]; then
  say "phase 2: replacing auth's warm instances"
  set_parameters AuthSecretVersion "$(date -u +%Y-%m-%dT%H:%M:%SZ)_$current_kid"
  phase="wait 3600"
fi

if [[ $phase == wait* ]]; then
  seconds=${phase#wait }
  if [[ ${NOW:-} == 1 ]]; then
    seconds=0
  elif [[ ${WAIT:-} != 1 ]]; then
    say "phase 3 comes in $seconds seconds, when no token of the old key is alive: run this again then."
    exit 0
  fi
  say "phase 3 comes in $seconds seconds ..."
  sleep "$seconds"
  phase=forget
  labels
fi

if [[ $phase == forget ]]; then
  current=$(value "$current_version")
  alone=$(python3 "$tools/keys.py" jwks <<<"$current")
  say "phase 3: all functions know $current_kid alone"
  set_parameters TokenKeys "$alone"
  say "done. Deployments keep it. infra/params/$STAGE.json says the same now: commit it."
fi
