#!/usr/bin/env bash
# Gives a person the scope `admin`, carried from the next refresh of their token; REVOKE=1 takes it back.
#   make admin STAGE=dev USER=usr_...
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws
stage

user=${ADMIN_USER:-}
[[ $user =~ ^usr_[0-9A-HJKMNP-TV-Z]{26}$ ]] || die "say whom: USER=usr_..."
table=$(output AccountsTable)
change=(--update-expression 'SET #admin = :true' --expression-attribute-values '{":true": {"BOOL": true}}')
word=an
if [[ ${REVOKE:-} == 1 ]]; then
  change=(--update-expression 'REMOVE #admin')
  word=no
fi
aws dynamodb update-item --table-name "$table" \
  --key "{\"pk\": {\"S\": \"USR#$user\"}, \"sk\": {\"S\": \"ACCOUNT\"}}" "${change[@]}" \
  --condition-expression 'attribute_exists(pk)' --expression-attribute-names '{"#admin": "admin"}' >/dev/null
say "$user is $word administrator from the next refresh on"
