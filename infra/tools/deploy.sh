#!/usr/bin/env bash
# Deploys what `sam build` left in .aws-sam to the stack of a stage.
#   make deploy STAGE=dev
# In CI (CI=true) nothing is asked; by hand, `prod` is.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws sam
stage

[[ -f $root/.aws-sam/build/template.yaml ]] || die "nothing is built yet: make build"
if [[ $STAGE == prod && ${CI:-} != true ]]; then
  read -r -p "deploy $(git -C "$root" describe --always --dirty) to $stack? [type prod] " answer
  [[ $answer == prod ]] || die "not deployed"
fi

sam deploy --template-file "$root/.aws-sam/build/template.yaml" --stack-name "$stack" \
  --resolve-s3 --s3-prefix "$stack" --capabilities CAPABILITY_IAM \
  --no-confirm-changeset --no-fail-on-empty-changeset \
  --parameter-overrides "file://$params" --tags "satchel:stage=$STAGE"

url=$(output ApiUrl)
printf '%s\n' "$url"
published=$(parameter TokenKeys)
if [[ $published == '{"keys":[]}' ]]; then
  say "There is no signing key yet, so nobody can sign in. Next: make keys STAGE=$STAGE"
else
  say "Try: curl $url/health"
fi
