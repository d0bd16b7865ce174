# Shared by the scripts that speak to AWS; sourced, never run. The caller has `set -euo pipefail`.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/infra/tools

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
say() { printf '%s\n' "$*" >&2; }

need() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || die "needs $tool, which is not installed"; done
}

# The stage that stands in $STAGE, with its parameter file and its stack.
stage() {
  STAGE=${STAGE:-}
  [[ $STAGE =~ ^[a-z][a-z0-9-]{1,15}$ ]] || die "say for which stage: STAGE=dev"
  params=$root/infra/params/$STAGE.json
  [[ -f $params ]] || die "infra/params/$STAGE.json is not there; copy dev.json and change it"
  stack=${STACK:-satchel-$STAGE}
}

# output NAME: an output of the stack.
output() {
  local value
  value=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue")
  [[ -n $value && $value != None ]] || die "stack $stack has no output $1; is it deployed?"
  printf '%s\n' "$value"
}

# described: describe-stacks' answer, or nothing where there is no such stack.
described() {
  local said
  said=$(mktemp)
  if aws cloudformation describe-stacks --stack-name "$stack" --output json 2>"$said"; then
    rm -f "$said"
  elif grep -qF "Stack with id $stack does not exist" "$said"; then
    rm -f "$said"
  else
    cat "$said" >&2
    rm -f "$said"
    die "it is not known whether there is a stack $stack"
  fi
}

# parameter NAME: a parameter as the stack has it now, which may be ahead of or behind the parameter file.
parameter() {
  aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Parameters[?ParameterKey=='$1'].ParameterValue"
}

# set_parameters NAME VALUE...: changes parameters of the running stack alone, with the template it has: no code is
# built or shipped. Writes them to the parameter file too, so that it says what the stack has.
set_parameters() {
  python3 "$tools/params.py" set "$params" "$@"
  local request
  request=$(aws cloudformation describe-stacks --stack-name "$stack" --output json \
    | python3 "$tools/params.py" update "$@")
  local answer
  if ! answer=$(aws cloudformation update-stack --stack-name "$stack" --use-previous-template \
      --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameters "$request" 2>&1); then
    [[ $answer == *"No updates are to be performed"* ]] && return 0
    die "$answer"
  fi
  say "waiting for $stack ..."
  aws cloudformation wait stack-update-complete --stack-name "$stack"
}
