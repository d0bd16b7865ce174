#!/usr/bin/env bash
# Makes an OAuth client of a back-office service, or gives one a new secret beside its last one.
#   make client STAGE=dev NAME="Back office" SCOPES="portal:write notifications:send"
#   make client STAGE=dev CLIENT=cli_...        a second secret; the one before it stays good, any older one dies
# The secret is shown once; the table has its hash alone.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws python3
stage

table=$(output AccountsTable)
if [[ -n ${CLIENT:-} ]]; then
  key=$(python3 "$tools/client.py" key "$CLIENT")
  row=$(aws dynamodb get-item --table-name "$table" --key "$key" --consistent-read --output json)
  [[ -n $row ]] || die "there is no client $CLIENT in $stack"
  made=$(python3 "$tools/client.py" rotate <<<"$row")
  command=update-item
else
  [[ -n ${NAME:-} && -n ${SCOPES:-} ]] || die 'say NAME="..." and SCOPES="...", or CLIENT=cli_... for a new secret'
  made=$(python3 "$tools/client.py" make "$NAME" "$SCOPES" "$(date -u +%s)")
  command=put-item
fi

# What the row gets is no secret: names, scopes and hashes.
request=$(python3 "$tools/client.py" request <<<"$made")
aws dynamodb "$command" --table-name "$table" --cli-input-json "$request" >/dev/null
python3 "$tools/client.py" show <<<"$made"
say "The secret is not kept anywhere; store it now."
