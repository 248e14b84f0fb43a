# Genba: the few commands a newcomer needs. `make help` lists them.

SHELL   := /bin/bash
CARGO   ?= cargo
SEEDS   ?= 10000
FROM    ?= 0
KILLS   ?= 200
PG_BIN  := $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
APT     := DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Options::=--force-confold

.PHONY: help demo run test check bench sim crash compiler postgres shell clients store

help: ## lists these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ONCE=1 ends the demo after its day; SEEDS, FROM and KILLS bound the searches."

demo: compiler ## plays a field day in the fictional city; the server stays up until Ctrl-C (ONCE=1: ends)
	$(CARGO) build -p server -p tablet -p genba-tests --bin genba --bin genba-tablet --bin field_day
	@ONCE=$(ONCE) target/debug/field_day </dev/null

run: compiler ## runs the server on SQLite in ./genba-data, http://127.0.0.1:8080
	@mkdir -p genba-data
	GENBA_DATABASE_URL=$${GENBA_DATABASE_URL:-sqlite:genba-data/genba.db} $(CARGO) run -p server --bin genba -- serve

test: compiler postgres shell clients store ## runs every test: properties, both databases, 2,000 simulated worlds, 60 kills, planted faults
	$(CARGO) test --workspace --no-fail-fast </dev/null
	$(CARGO) test -p genba-tests --features faults --test crash --test escape --test faults --test simulation --test uploads --test bucket --test clients --test power --no-fail-fast </dev/null

check: compiler ## formatting, lints, documentation; supply chain and spelling where their tools are installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features genba-tests/faults -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check; else echo "skipped: cargo-deny is not installed"; fi
	@if command -v cargo-machete >/dev/null; then $(CARGO) machete; else echo "skipped: cargo-machete is not installed"; fi
	@if command -v typos >/dev/null; then typos; else echo "skipped: typos is not installed"; fi

bench: compiler postgres ## measures the figures of docs/operations.md against raw limits (release build)
	$(CARGO) build --release -p server -p tablet -p genba-tests --bin genba --bin genba-tablet --bin bench
	target/release/bench </dev/null

sim: compiler ## simulated worlds: SEEDS of them beginning with FROM
	$(CARGO) run --release -p genba-tests --bin simulate -- --seeds $(SEEDS) --from $(FROM) </dev/null

crash: compiler postgres ## kills the real server KILLS times on each database and looks for lost acknowledgements
	$(CARGO) build -p genba-tests --features faults --bin genba_with_faults --bin crash
	target/debug/crash --kills $(KILLS) </dev/null

# What a fresh machine lacks. As root on Debian it is installed; otherwise the recipe says what to install and stops.

compiler:
	@command -v $(CARGO) >/dev/null || { echo "Missing: cargo. Install Rust 1.95 or newer from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    $(APT) update -qq </dev/null && $(APT) install -y -qq --no-install-recommends build-essential pkg-config </dev/null; \
	  else echo "Missing: a C compiler (crypto and SQLite need it). Debian: apt-get install build-essential pkg-config"; exit 1; fi; }

postgres:
	@[ -n "$(PG_BIN)" ] && [ -x "$(PG_BIN)/initdb" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; \
	    $(APT) update -qq </dev/null && $(APT) install -y -qq --no-install-recommends postgresql </dev/null; \
	  else echo "Missing: the PostgreSQL server, 15 or newer (the tests start their own). Debian: apt-get install postgresql"; exit 1; fi; }

shell:
	@command -v curl >/dev/null && command -v openssl >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    $(APT) update -qq </dev/null && $(APT) install -y -qq --no-install-recommends ca-certificates curl openssl </dev/null; \
	  else echo "Missing: curl or openssl (a test runs the README). Debian: apt-get install curl openssl"; exit 1; fi; }

# The unmodified upload clients that the tests run, under target/clients.
clients:
	@command -v npm >/dev/null && command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    $(APT) update -qq </dev/null && $(APT) install -y -qq --no-install-recommends nodejs npm python3-venv </dev/null; \
	  else echo "Missing: npm, python3 or its venv (tests run the tus clients of others). Debian: apt-get install nodejs npm python3-venv"; exit 1; fi; }
	@cmp -s tests/clients/package.json target/clients/package.json || { \
	  mkdir -p target/clients && npm install --silent --no-audit --no-fund --no-package-lock --prefix target/clients "$$(sed -n 's/.*"\(tus-js-client\)": "\(.*\)".*/\1@\2/p' tests/clients/package.json)" </dev/null \
	  && cp tests/clients/package.json target/clients/package.json; }
	@cmp -s tests/clients/requirements.txt target/clients/requirements.txt || { \
	  mkdir -p target/clients && python3 -m venv target/clients/python \
	  && target/clients/python/bin/pip install -q --disable-pip-version-check -r tests/clients/requirements.txt </dev/null \
	  && cp tests/clients/requirements.txt target/clients/requirements.txt; }

# An S3 service for the tests, built once under target/tools.
store: compiler
	@[ -x target/tools/bin/s3s-fs ] || $(CARGO) install -q s3s-fs@0.14.1 --locked --features binary --root target/tools --target-dir target/tools/build </dev/null
