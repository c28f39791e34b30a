# The entrance to this repository for people. Every target works from a fresh clone with Rust alone;
# what `make test` and `make demo` need beyond that, they say.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where cargo builds; CARGO_TARGET_DIR is cargo's own variable.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# One profile for tests and demo: quick to build, quick enough to run.
CARGO_PROFILE := --profile ci
# What the web pages are made of; the types of the API are made from its description.
UI_SOURCES := $(shell find ui/src ui/public ui/index.html ui/*.config.* ui/tsconfig.json -type f ! -name schema.ts)
# The mocks that `make pictures` puts beside the pages.
MOCKS ?= ../shared/ui
# How long `make prove` and `make fuzz` search at each fuzz target.
FUZZ_SECONDS ?= 3600

.PHONY: help build demo ui ui-check ui-e2e pictures test e2e readers toxiproxy chaostoolkit prove fuzz lint cargo-is-there node-is-there

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: cargo-is-there ui ## all programs with the web pages in them, into $(TARGET)/ci
	cargo build --workspace --bins $(CARGO_PROFILE)

demo: cargo-is-there ui ## a shop under load, one of its services killed, and how it is healed
	cargo build --package server --package shop --bins $(CARGO_PROFILE)
	"$(TARGET)/ci/immune" demo

ui: ui/dist/index.html ## the web pages, into ui/dist, from where they are built into the program

ui/dist/index.html: ui/node_modules/.package-lock.json docs/reference/openapi.json $(UI_SOURCES)
	npm --prefix ui run build

ui/node_modules/.package-lock.json: ui/package-lock.json | node-is-there
	npm --prefix ui ci --no-audit --no-fund

ui-check: ui ## types, format and unit tests of the web pages
	npm --prefix ui run lint
	npm --prefix ui run check
	NO_COLOR=1 npm --prefix ui test

ui-e2e: build ## the web pages in Chromium on a running system, some minutes; needs Chromium
	tests/ui/run "$(TARGET)/ci"

pictures: build ## the pictures of README.md and docs/ui-review from a running system, ten minutes; needs Chromium
	node ui/e2e/pictures.mjs "$(TARGET)/ci" $(MOCKS)

test: cargo-is-there ## all tests of the workspace; the log goes to $(TARGET)/test.log
	mkdir -p "$(TARGET)"
	status=0; \
	cargo test --workspace $(CARGO_PROFILE) --no-fail-fast 2>&1 | tee "$(TARGET)/test.log" || status=$$?; \
	cargo xtask count "$(TARGET)/test.log"; \
	exit $$status

e2e: build ## real programs on real systems, a few minutes; needs jq and what tests/polyglot needs
	tests/e2e/run quick "$(TARGET)/ci"

readers: build ## our Parquet files as DuckDB and ClickHouse read them, half a minute; needs Python
	tests/readers/run "$(TARGET)/ci"

toxiproxy: build ## Toxiproxy's clients on our proxies, half a minute; needs Python, Node and npm
	tests/toxiproxy/run "$(TARGET)/ci"

chaostoolkit: build ## Chaos Toolkit's experiments beside Chaos Toolkit itself, two minutes; needs Python
	tests/chaostoolkit/run "$(TARGET)/ci"

prove: cargo-is-there ## the long proofs with release programs, four hours, then `fuzz`
	cargo test --package remediate --release --lib model_check -- --include-ignored --nocapture
	cargo xtask mutate-detectors
	cargo build --workspace --bins --release
	tests/e2e/run long "$(TARGET)/release"
	fuzz/prove-planted
	fuzz/run $(FUZZ_SECONDS)

fuzz: cargo-is-there ## hostile inputs are searched for, FUZZ_SECONDS (an hour) a target, one a core
	fuzz/run $(FUZZ_SECONDS)

lint: cargo-is-there ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(CARGO_PROFILE) -- -D warnings

node-is-there:
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
	    2>/dev/null && command -v npm >/dev/null || { \
		echo "The web pages need Node 20.19 or newer, and npm. Install them, then try again." >&2; \
		exit 1; \
	}

cargo-is-there:
	@command -v cargo >/dev/null || { \
		echo "cargo is missing. Install Rust from https://rustup.rs, then try again." >&2; \
		exit 1; \
	}
