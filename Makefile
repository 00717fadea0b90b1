# Everything a checkout can do. `make` alone lists it.
# Servers, logs and the development secret live in .run/ ; builds in target/ . As root, the servers' data live in
# /var/tmp/buzon-<hash> where the user postgres can't reach .run/ .

# In CI the lock file may not change: what is built there is what is committed.
LOCKED := $(if $(CI),--locked)
BIN := $(or $(CARGO_TARGET_DIR),target)/debug

# $(call timed,NAME,COMMAND): runs one stage, and says how long it took even if it failed.
timed = start=$$(date +%s); echo "== $(1)"; $(2); code=$$?; \
	echo "== $(1): $$(( $$(date +%s) - start )) s"; [ $$code -eq 0 ] || exit $$code

.PHONY: help run test test-compose chaos replies fuzz bench bench-long count lint fmt

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

# Programs and tests in one build: in two, the libraries they share would be built twice, with different features.
BUILD_ALL = cargo build $(LOCKED) --workspace --all-targets

run: ## Run everything on this machine, with a simulated Kapso unless KAPSO_API_TOKEN is set (Ctrl-C stops it)
	@$(call timed,build,cargo build $(LOCKED) -p ingest -p worker -p kapso-sim -p buzon-tests --bins)
	@exec $(BIN)/buzon-dev run

# Tests mostly wait: run two per core.
TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: ## Run every test, against real private servers
	@$(call timed,build,$(BUILD_ALL))
	@$(call timed,test,RUST_TEST_THREADS=$(TEST_THREADS) $(BIN)/buzon-dev with-servers -- cargo test $(LOCKED) --workspace)

# Without a Docker engine it says so, and ends with 77. ONLY=public (or load, or spool) runs the short form and that part.
test-compose: ## Build and run the compose project on a real Docker engine, break things, account for every webhook (SHORT=1: break nothing)
	@$(call timed,build,cargo build $(LOCKED) --workspace --bin buzon-compose)
	@exec $(BIN)/buzon-compose $(if $(SHORT),--short) $(if $(ONLY),--only $(ONLY))

# What is sent and what goes wrong follows from the seed; `make chaos SEED=… FAULTS=…` repeats a run.
FAULTS ?= 300
RATE ?= 50
chaos: ## Cause FAULTS=300 faults under RATE=50 webhooks a second (45 minutes), and account for every webhook
	@$(call timed,build,cargo build $(LOCKED) -p ingest -p worker -p buzon-tests --bins)
	@exec $(BIN)/buzon-chaos --faults $(FAULTS) --rate $(RATE) $(if $(SEED),--seed $(SEED))

# As many through each of Kapso's two APIs, one after the other.
QUESTIONS ?= 20000
replies: ## Send QUESTIONS=20000 questions from a simulated Kapso that misbehaves, kill workers meanwhile, and count the replies
	@$(call timed,build,$(BUILD_ALL))
	@$(call timed,replies,BUZON_TEST_QUESTIONS=$(QUESTIONS) $(BIN)/buzon-dev with-servers -- \
		cargo test $(LOCKED) --workspace --test replies -- --nocapture --test-threads=1)

# One target after the other, each on every core, with mutants that no earlier run has tried.
MINUTES ?= 10
fuzz: ## Try mutants of the example webhooks on every parser, MINUTES=10 for each of the six targets
	@$(call timed,fuzz,BUZON_FUZZ_MINUTES=$(MINUTES) cargo test $(LOCKED) -p ingest -p worker --no-fail-fast --lib --test decode \
		-- fuzz:: --nocapture --test-threads=1)

# How fast it is, compared with what the machine can do; the results go to docs/PERFORMANCE.md. The machine must be
# quiet: its load average is noted beside them. `make bench ONLY=door` measures one scenario.
bench: ## Measure everything against the raw limits of this machine; ONLY=door (drain, spool, …) for one scenario
	@$(BENCH)

bench-long: ## The same for some hours: long runs, growth, an hour of endurance
	@$(BENCH) --long

BUILD_LOAD = cargo build --release $(LOCKED) -p ingest -p worker -p load --bins
BENCH = $(BUILD_LOAD) && exec $(or $(CARGO_TARGET_DIR),target)/release/buzon-load bench $(if $(ONLY),--only $(ONLY))

count: ## Count the instructions of the hot pure parts; fail if one needs more than tests/load/instructions.json allows
	@$(BUILD_LOAD) && exec $(or $(CARGO_TARGET_DIR),target)/release/buzon-load count $(if $(ACCEPT),--accept)

lint: ## Check formatting and lints, warnings denied
	@$(call timed,fmt,cargo fmt --all --check)
	@$(call timed,clippy,cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings)

fmt: ## Format everything
	@cargo fmt --all
