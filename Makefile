PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup loadtest security demo serve test lint check format benchmark calibrate soak screenshots trace clean report chapter protocol mutants twins proof fuzz

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## set up .venv with the pinned packages (the other targets do it by themselves)
	@scripts/bootstrap.sh $(PYTHON)

loadtest: setup ## the main job: measure the monitor under the chapter's load and judge its claims
	@$(BIN)/wsproof load chapter $(ARGS)

security: setup ## attack the monitor with every security check
	@$(BIN)/wsproof audit $(ARGS)

mutants: setup ## try the security checks on seeded flaws: each must be caught (ARGS=--full: by every check)
	@$(BIN)/wsproof audit --mutants $(ARGS)

twins: setup ## try the security checks on correct services, 20 times in shuffled orders: no finding
	@$(BIN)/wsproof audit --twins tests/services $(ARGS)

proof: mutants twins ## make docs/proof.md anew: what the checks caught of seeded flaws, and false alarms
	@$(BIN)/wsproof report chapter docs/proof.md

demo: setup ## run the monitor and the documentation pipeline together
	@$(BIN)/python -m scripts.demo $(ARGS)

serve: setup ## run the monitor on ws://localhost:4001
	@$(BIN)/wsproof serve $(ARGS)

test: setup ## run every test
	@$(BIN)/pytest -q -n 4 --dist worksteal -m "not alone" $(ARGS)
	@$(BIN)/pytest -q -m alone $(ARGS)

lint: setup ## format, lint, types and import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-cache) || { echo "$$said"; exit 1; }

check: lint ## the fast loop, under a minute: lint and the fast tests
	@$(BIN)/pytest -q -n 2 -m "not slow and not alone" $(ARGS)

format: setup ## put the code into its standard form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

benchmark: setup ## time the monitor's hot paths
	@$(BIN)/pytest tests/benchmarks --benchmark-enable --benchmark-only $(ARGS)

calibrate: setup ## hold the load harness against a server whose every delay and fault is known
	@$(BIN)/python -m tests.calibration $(ARGS)

screenshots: setup ## take the dashboard's pictures in docs/pictures
	@$(BIN)/python -m scripts.screenshots $(ARGS)

fuzz: setup ## fuzz the monitor for ten minutes from a seed of today (FUZZ_SECONDS=, FUZZ_SEED= say otherwise)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-600} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%y%m%d)000} $(BIN)/pytest -s tests/fuzz $(ARGS)

soak: setup ## load the monitor on each event loop, then the dashboard, half an hour each: growth?
	@WSPROOF_SOAK_S=1800 $(BIN)/pytest tests/monitor/test_soak.py tests/dashboard/test_soak.py $(ARGS)

report: setup ## write the report over the newest evidence: an offline page, Markdown, figures, CSV
	@$(BIN)/wsproof report build $(ARGS)

CHAPTER ?= docs/chapter/real-time-monitoring.md
CHECK ?=
chapter: setup ## refresh the chapter from the newest runs, making those that are missing; CHECK=1 only checks
ifeq ($(CHECK),)
	@$(BIN)/python -m scripts.chapter_runs
	@$(BIN)/wsproof report chapter $(CHAPTER) $(ARGS)
else
	@$(BIN)/wsproof report chapter $(CHAPTER) --check $(ARGS)
endif

protocol: setup ## record how the monitor authenticates, delivers and is rejoined
	@$(BIN)/python -m scripts.record_protocol $(ARGS)

trace: setup ## record loadtests/traces/pipeline.jsonl from the real pipeline
	@$(BIN)/python -m scripts.record_trace $(ARGS)

clean: ## remove .venv and caches; runs/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
