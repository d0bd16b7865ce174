# `make test` is CI, and CI is `make test`. Everything else is a part of it or a shorter way to say something.
# The first target says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := $(CURDIR)/.venv
TOOLS := PATH="$(VENV)/bin:$$PATH" SAM_CLI_TELEMETRY=0
PROFILE ?= dev
SEEDS ?= 200
EXAMPLES ?= 25

# The binaries that one build of the whole workspace left: `cargo run -p` would choose other features of the
# dependencies, and build them again.
built = "$$(infra/tools/target-dir.sh)/debug"

.PHONY: help dev dev-lambda demo test check fast fmt clippy doc template tools unit build-tests doctest simulate-short \
	openapi openapi-drift fuzz simulate bench build deploy deploy-built keys rotate-keys client admin audit venv hooks clean clean-venv

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# ------------------------------------------------------------------------------------------------------------- running

dev: ## The whole system on this machine: http://127.0.0.1:3000 (ARGS="--port 4000", PROFILE=release)
	cargo run --profile $(PROFILE) -p satchel-local --bin satchel-local -- $(ARGS)

dev-lambda: $(VENV)/.stamp ## The real binaries under `cargo lambda watch`, with the services of the local process
	$(TOOLS) infra/tools/dev-lambda.sh $(ARGS)

demo: ## A story of two people and four devices against the running local stack
	cargo run -p satchel-local --bin satchel-demo -- $(ARGS)

# ------------------------------------------------------------------------------------------------------------- testing

test: ## Everything that CI runs
	@$(MAKE) --no-print-directory fmt template tools clippy doc
	@$(MAKE) --no-print-directory unit doctest
	@$(MAKE) --no-print-directory openapi-drift simulate-short fuzz
	@echo "make test: all passed"

check: fmt clippy doc template tools ## The fast part of test: what needs no stack
	cargo test -p satchel-domain

fast: fmt clippy ## Format, lints, and the tests of what changed
	infra/tools/test-changed.sh

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

template: $(VENV)/.stamp
	$(VENV)/bin/cfn-lint template.yaml
	$(TOOLS) AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-central-1} sam validate --lint --template template.yaml
	$(VENV)/bin/python infra/tools/check-template.py

# The scripts of the deployment, against a stand-in for the `aws` command and with the real `sam`, as far as it goes
# without an account; and the hooks.
tools: $(VENV)/.stamp
	$(VENV)/bin/python -m unittest discover -s infra/tools/tests

build-tests:
	cargo build --workspace --bins --tests

unit: build-tests
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace; \
	else \
		cargo test --workspace --lib --bins --tests; \
	fi

doctest:
	cargo test --workspace --doc

simulate-short: build-tests
	$(built)/simulate --seeds $${SIMULATE_SEEDS:-20}

openapi-drift: build-tests
	@$(built)/satchel-openapi | diff -u docs/openapi.json - \
		|| { echo "docs/openapi.json is not what the code says: make openapi" >&2; exit 1; }

fuzz: build-tests $(VENV)/.stamp
	$(TOOLS) SATCHEL_LOCAL=$(built)/satchel-local EXAMPLES=$(EXAMPLES) infra/tools/fuzz-api.sh

# --------------------------------------------------------------------------------------------------- longer than a test

simulate: ## Many seeds of the simulation: SEEDS=10000
	cargo run -p satchel-tests --bin simulate -- --seeds $(SEEDS) $(ARGS)

# The functions apart from the rest: built together with the local process they would have its features too.
bench: ## Figures of docs/benchmarks.md (ARGS="--only cold,sizes" for a part)
	cargo bench -p satchel-tests
	cargo build --release $(foreach family,$(wildcard functions/*/Cargo.toml),-p satchel-$(family:functions/%/Cargo.toml=%)) --bins
	cargo build --release -p satchel-tests -p satchel-local --bin bench-process --bin empty-lambda --bin bare-lambda \
		--bin satchel-local
	"$$(infra/tools/target-dir.sh)/release/bench-process" --profile-dir "$$(infra/tools/target-dir.sh)/release" $(ARGS)

audit: ## Advisories, licences and unused dependencies; needs a network
	cargo deny check
	cargo machete

openapi: ## Writes docs/openapi.json
	cargo run -p satchel-local --bin satchel-openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

# ------------------------------------------------------------------------------------------------------------ deploying

build: $(VENV)/.stamp ## The functions for Lambda, into .aws-sam; for the Architecture of STAGE=dev, or ARCHITECTURE=x86_64
	$(TOOLS) STAGE="$(STAGE)" ARCHITECTURE="$(ARCHITECTURE)" infra/tools/build.sh $(ARGS)

# One after the other whatever -j says, and what a deployment lacks is said before the long build.
deploy: $(VENV)/.stamp ## STAGE=dev: the stack of a stage, with infra/params/<stage>.json
	@$(TOOLS) STAGE="$(STAGE)" infra/tools/deploy.sh check
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory deploy-built

# Ships what `make build` left.
deploy-built: $(VENV)/.stamp
	$(TOOLS) STAGE="$(STAGE)" infra/tools/deploy.sh

keys: ## STAGE=dev: the first signing key
	@STAGE="$(STAGE)" infra/tools/keys.sh

rotate-keys: ## STAGE=dev: a new signing key in three phases; WAIT=1 sleeps through the hour between, NOW=1 skips it
	@STAGE="$(STAGE)" WAIT="$(WAIT)" NOW="$(NOW)" infra/tools/rotate-keys.sh

client: ## STAGE=dev NAME="..." SCOPES="...", or CLIENT=cli_...: a back-office client, or its next secret
	@STAGE="$(STAGE)" NAME="$(NAME)" SCOPES="$(SCOPES)" CLIENT="$(CLIENT)" infra/tools/client.sh

admin: ## STAGE=dev USER=usr_...: makes a person an administrator; REVOKE=1 takes it back
	@STAGE="$(STAGE)" ADMIN_USER="$(USER)" REVOKE="$(REVOKE)" infra/tools/admin.sh

# ---------------------------------------------------------------------------------------------------------- housekeeping

$(VENV)/.stamp: infra/tools/requirements.txt
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "make: $(PYTHON) cannot make a venv (needs Python 3.10 or later with venv and pip);" \
			"the template checks and the fuzzing cannot run without" >&2; exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/tools/requirements.txt \
		|| { echo "make: pip could not install infra/tools/requirements.txt;" \
			"the template checks and the fuzzing cannot run without" >&2; exit 1; }
	@touch $@

venv: $(VENV)/.stamp ## The pinned tools, into .venv

hooks: ## Uses .githooks: format at a commit, `make fast` at a push
	git config core.hooksPath .githooks

clean: ## What was built, and the local data
	cargo clean
	rm -rf .aws-sam .satchel

clean-venv:
	rm -rf $(VENV)
