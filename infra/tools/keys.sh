#!/usr/bin/env bash
# Makes the first signing key of a stage: the secret's value, and the public key in the parameter TokenKeys.
#   make keys STAGE=dev        after the first `make deploy`, which makes the secret without a value
# Refuses where there is a key already: that is what `make rotate-keys` is for.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws openssl python3
stage

secret=$(output AuthSecretArn)
labels=$(aws secretsmanager describe-secret --secret-id "$secret" --output json)
version=$(python3 "$tools/rotation.py" version AWSCURRENT <<<"$labels")
if [[ -n $version ]]; then
  value=$(aws secretsmanager get-secret-value --secret-id "$secret" --version-id "$version" \
    --query SecretString --output text)
  kid=$(python3 "$tools/keys.py" kid <<<"$value")
  published=$(parameter TokenKeys)
  kids=$(python3 "$tools/keys.py" kids <<<"$published")
  if grep -qxF -- "$kid" <<<"$kids"; then
    die "$stack has a key already ($kid); \`make rotate-keys STAGE=$STAGE\` replaces it"
  fi
  # Put, but the stack never heard of it: go on from there.
  say "the secret has a key that the stack does not publish yet; going on from there"
else
  value=$(python3 "$tools/keys.py" new)
  kid=$(python3 "$tools/keys.py" kid <<<"$value")
  # By standard input: neither an argument, which other processes see, nor a file.
  aws secretsmanager put-secret-value --secret-id "$secret" --secret-string file:///dev/stdin \
    --query VersionId --output text <<<"$value" >/dev/null
fi

jwks=$(python3 "$tools/keys.py" jwks <<<"$value")
set_parameters TokenKeys "$jwks" AuthSecretVersion "$(date -u +%Y-%m-%dT%H:%M:%SZ)_$kid"
printf '%s\n' "$jwks"
say "The stack has it, and deployments keep it. infra/params/$STAGE.json says the same now: commit it."
