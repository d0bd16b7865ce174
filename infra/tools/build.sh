#!/usr/bin/env bash
# Builds the functions for Lambda into .aws-sam, for one architecture: SAM resolves `!Ref Architecture` while it builds,
# and what it is not told is the template's default.
#   make build                          the template's
#   make build STAGE=dev                that of infra/params/dev.json
#   make build ARCHITECTURE=x86_64      this one
# Further words go to `sam build`, such as the logical id of the one function to build.
set -euo pipefail
# shellcheck source=infra/tools/lib.sh
. "$(dirname "$0")/lib.sh"
need sam python3

params=
[[ -z ${STAGE:-} ]] || stage
architecture=${ARCHITECTURE:-}
if [[ -z $architecture ]]; then
  architecture=$(python3 "$tools/params.py" value Architecture "$root/template.yaml" ${params:+"$params"})
fi

cd "$root"
# It wants a region, whichever. --parameter-overrides takes all words up to the next option, so it comes last.
AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-eu-central-1} \
  sam build "$@" --template template.yaml --parameter-overrides "Architecture=$architecture"
# A part of the functions cannot be deployed anyway.
[[ $# -gt 0 ]] || python3 "$tools/built.py" .aws-sam/build/template.yaml "$architecture"
