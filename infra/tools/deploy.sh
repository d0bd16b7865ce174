#!/usr/bin/env bash
# Deploys what `make build` left in .aws-sam to the stack of a stage.
#   make deploy STAGE=dev
# Every parameter gets the value of infra/params/<stage>.json, or the template's default, but for those of the signing key,
# which the stack keeps: an older file would take back keys that are in use.
# In CI (CI=true) nothing is asked; by hand, `prod` is. `deploy.sh check` ends where the stage and the tools are there.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need aws sam python3
stage
[[ ${1:-} != check ]] || exit 0

template=$root/.aws-sam/build/template.yaml
[[ -f $template ]] || die "nothing is built yet: make build STAGE=$STAGE"
architecture=$(python3 "$tools/params.py" value Architecture "$template" "$params")
python3 "$tools/built.py" "$template" "$architecture" || die "make build STAGE=$STAGE first"

# sam reads parameters from YAML and TOML files, not from JSON ones.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
described >"$work/stack.json"
python3 "$tools/params.py" deploy "$template" "$params" <"$work/stack.json" >"$work/parameters.yaml"

if [[ $STAGE == prod && ${CI:-} != true ]]; then
  read -r -p "deploy $(git -C "$root" describe --always --dirty) to $stack? [type prod] " answer
  [[ $answer == prod ]] || die "not deployed"
fi

sam deploy --template-file "$template" --stack-name "$stack" \
  --resolve-s3 --s3-prefix "$stack" --capabilities CAPABILITY_IAM \
  --no-confirm-changeset --no-fail-on-empty-changeset \
  --parameter-overrides "file://$work/parameters.yaml" --tags "satchel:stage=$STAGE"

url=$(output ApiUrl)
printf '%s\n' "$url"
published=$(parameter TokenKeys)
if [[ $published == '{"keys":[]}' ]]; then
  say "There is no signing key yet, so nobody can sign in. Next: make keys STAGE=$STAGE"
else
  say "Try: curl $url/health"
fi
