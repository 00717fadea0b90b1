# Everything a checkout can do. `make` alone lists it.
# Servers, logs and the development secret live in .run/ ; builds in target/ .

# What CI builds is what is committed: there the lock file may not change.
LOCKED := $(if $(CI),--locked)
BIN := $(or $(CARGO_TARGET_DIR),target)/debug

# $(call timed,NAME,COMMAND): runs one stage, and says how long it took even when it failed.
timed = start=$$(date +%s); echo "== $(1)"; $(2); code=$$?; \
	echo "== $(1): $$(( $$(date +%s) - start )) s"; [ $$code -eq 0 ] || exit $$code

.PHONY: help run test test-compose chaos replies fuzz bench bench-long count lint fmt

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

# Programs and tests in one go: built apart, what they share is built twice, since tests ask more of some libraries.
BUILD_ALL = cargo build $(LOCKED) --workspace --all-targets

run: ## Run the whole product on this machine (Ctrl-C stops it), with a simulated Kapso unless a token is set
	@$(call timed,build,cargo build $(LOCKED) -p ingest -p worker -p kapso-sim -p buzon-tests --bins)
	@exec $(BIN)/buzon-dev run

# Most of what tests do is wait: two for each core.
TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: ## Run every test against real servers of its own
	@$(call timed,build,$(BUILD_ALL))
	@$(call timed,test,RUST_TEST_THREADS=$(TEST_THREADS) $(BIN)/buzon-dev with-servers -- cargo test $(LOCKED) --workspace)

# Where there is no Docker engine it says so, and ends with 77. ONLY=public (load, spool) is the short form and that part.
test-compose: ## Build and run what is shipped for Docker on a real engine, strike it, look for every webhook (SHORT=1: no strikes)
	@$(call timed,build,cargo build $(LOCKED) --workspace --bin buzon-compose)
	@exec $(BIN)/buzon-compose $(if $(SHORT),--short) $(if $(ONLY),--only $(ONLY))

# What is sent and what goes wrong follows from the seed; `make chaos SEED=… FAULTS=…` does it again.
FAULTS ?= 300
RATE ?= 50
chaos: ## Strike the product with FAULTS=300 faults under RATE=50 webhooks a second, and look for every one of them
	@$(call timed,build,cargo build $(LOCKED) -p ingest -p worker -p buzon-tests --bins)
	@exec $(BIN)/buzon-chaos --faults $(FAULTS) --rate $(RATE) $(if $(SEED),--seed $(SEED))

# As many by each of Kapso's two APIs, one after the other.
QUESTIONS ?= 20000
replies: ## Ask QUESTIONS=20000 questions of a Kapso that behaves badly, kill workers meanwhile, and count the replies
	@$(call timed,build,$(BUILD_ALL))
	@$(call timed,replies,BUZON_TEST_QUESTIONS=$(QUESTIONS) $(BIN)/buzon-dev with-servers -- \
		cargo test $(LOCKED) --workspace --test replies -- --nocapture --test-threads=1)

# One target after the other, each on every core, with mutants that no run before has tried.
MINUTES ?= 10
fuzz: ## Try mutants of the examples on every parser, MINUTES=10 for each of the five
	@$(call timed,fuzz,BUZON_FUZZ_MINUTES=$(MINUTES) cargo test $(LOCKED) -p ingest -p worker --no-fail-fast --lib --test decode \
		-- fuzz:: --nocapture --test-threads=1)

# How fast it is, against what the machine could do; the results go to docs/PERFORMANCE.md. The machine must be quiet:
# its load average is noted beside them. `make bench ONLY=door` measures one scenario.
bench: ## Measure everything against the raw limits of this machine, or ONLY=door (drain, spool, …)
	@$(BENCH)

bench-long: ## The same for hours: long runs, growth, an hour of endurance
	@$(BENCH) --long

BUILD_LOAD = cargo build --release $(LOCKED) -p ingest -p worker -p load --bins
BENCH = $(BUILD_LOAD) && exec $(or $(CARGO_TARGET_DIR),target)/release/buzon-load bench $(if $(ONLY),--only $(ONLY))

count: ## Count the instructions of the hot pure parts; fails if one takes more than tests/load/instructions.json says
	@$(BUILD_LOAD) && exec $(or $(CARGO_TARGET_DIR),target)/release/buzon-load count $(if $(ACCEPT),--accept)

lint: ## Check formatting and lints, warnings denied
	@$(call timed,fmt,cargo fmt --all --check)
	@$(call timed,clippy,cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings)

fmt: ## Format everything
	@cargo fmt --all
