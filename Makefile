# Everything happens in this clone: packages in .venv, data in data/. No root, no service.
PYTHON ?= python3
VENV = .venv
PORT ?= 8000
DATA ?= $(or $(PICASSO_DATA),data)
MINUTES = 5
SEED = 1
ARGS =

BIN = $(VENV)/bin
SETUP = $(VENV)/.setup
PYPROJECTS = pyproject.toml $(wildcard plugins/*/pyproject.toml)
EDITABLE = $(foreach toml,$(PYPROJECTS),-e ./$(patsubst %/,%,$(dir $(toml))))
# More processes than cores: much of a live test is waiting. JOBS=0 runs everything in one, for a debugger.
JOBS = 4
PYTEST = $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal
# -qq: errors alone, in a pip that looks through several indexes.
PIP = $(BIN)/python -m pip -qq --disable-pip-version-check install

.DEFAULT_GOAL := help
.PHONY: help setup demo run worker test test-embedded test-services coverage bench chaos fuzz lint format schema \
	processors lock build audit up down clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## Install everything into .venv (PYTHON=python3.13 picks the interpreter); other targets do it themselves

# The stamp, not pip, says whether anything is due: a second run costs nothing, and a plugin that you uninstalled stays
# away until the requirements or a pyproject.toml change. pip, for it honours your own index settings.
$(SETUP): requirements/dev.txt $(PYPROJECTS)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
			{ echo 'Picasso needs Python 3.11 or newer: make PYTHON=python3.13 ...' >&2; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
			{ echo '$(PYTHON) has no venv module: on Debian, apt install python3-venv' >&2; exit 1; }; \
		$(PYTHON) -m venv $(VENV); }
	@echo 'Installing into $(VENV): about a minute the first time'
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

demo: setup ## Start Picasso, upload a sample for each processor, show what came of it, stop
	@exec $(BIN)/python manage.py demo $(ARGS)

# exec here and below: signals reach the program, and no shell stays behind.
run: setup ## Web and worker on http://127.0.0.1:8000/ (PORT=, DATA=)
	@exec $(BIN)/python manage.py run --port $(PORT) --data "$(DATA)" $(ARGS)

worker: setup ## One more worker
	@exec $(BIN)/python manage.py worker $(ARGS)

processors: setup ## What is installed, and what is broken
	@$(BIN)/python manage.py processors $(ARGS) || true

# What is about real processes needs no second run on SQLite; `make test-embedded` by itself has it.
test: LEFT_OUT = broker_away outages shutdown workers
test: test-embedded test-services ## The whole suite, then tests/ again on RabbitMQ and PostgreSQL (ARGS= for pytest)

test-embedded: setup
	@unset PICASSO_DATABASE_URL PICASSO_BROKER_URL; exec $(PYTEST) \
		$(foreach name,$(LEFT_OUT),--ignore=tests/test_$(name).py) $(ARGS)

# What knows neither database nor broker has been tested once by then; a round trip to PostgreSQL costs more examples' time.
ONCE = architecture build confinement docker docs escapes fuzz identification sandbox settings

test-services: setup
	@$(BIN)/python tests/services.py $(PYTEST) tests \
		$(foreach name,$(ONCE),--ignore=tests/test_$(name).py) $(ARGS)

bench: setup ## Measure speed and memory on RabbitMQ and PostgreSQL: two minutes (ARGS= names parts, such as uploads)
	@$(PIP) --no-deps --require-hashes -r benchmarks/requirements.txt
	@PICASSO_TEST_PRIVATE=durable exec $(BIN)/python tests/services.py $(BIN)/python benchmarks/bench.py $(ARGS)

chaos: setup ## Break everything at random under load, see that nothing is lost, write docs/reliability.md (MINUTES=, SEED=)
	@exec $(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED) $(ARGS)

# Without its confinement, so that what runs in the sandbox is measured too.
coverage: setup ## Run the embedded suite and say which lines and branches it leaves out (at least 90 %)
	rm -f .coverage .coverage.*
	PICASSO_SANDBOX=off $(BIN)/python -m coverage run -m pytest -q $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --fail-under=90

fuzz: setup ## Hostile files through the sandbox and over HTTP: what may not be ends it with status 1 (MINUTES=, SEED=)
	@exec $(BIN)/python tests/services.py $(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED) $(ARGS)

lint: setup ## Check style, imports and that the requirements are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src config manage.py plugins/*/src
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python manage.py spectacular --validate --fail-on-warn | diff -u openapi.yaml - || \
		{ echo 'openapi.yaml is not what the code says: make schema, and look at the difference' >&2; exit 1; }
	if grep -q '^\[tool.importlinter\]' pyproject.toml; then $(BIN)/lint-imports; fi
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker/compose.yaml

format: setup ## Put the style right
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

schema: setup ## Write openapi.yaml, the contract
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file openapi.yaml

lock: setup ## Pin the requirements anew (ARGS=--upgrade takes newer releases)
	$(BIN)/python requirements/lock.py $(ARGS)

build: setup ## Wheels and sdists of everything in dist/, tried in a clean environment
	$(BIN)/python tests/distributions.py dist

audit: setup ## Ask the vulnerability service about what is pinned; needs the network
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/server.txt || { \
		echo 'audit: either a pinned release has a known vulnerability, which is listed above: make lock ARGS=--upgrade;' >&2; \
		echo 'or the service did not answer, and nothing is known' >&2; exit 1; }

COMPOSE = docker compose -f docker/compose.yaml

up: docker/.env ## Picasso in containers, with RabbitMQ and PostgreSQL (PROCESSORS="image text" chooses)
	$(COMPOSE) up --build --detach --wait
	@echo 'Picasso is at http://127.0.0.1:8000/; its token is PICASSO_TOKEN in docker/.env'

down: ## Stop the containers; what they keep stays in their volumes
	$(COMPOSE) down

# The database keeps its password in its volume: a new .env does not open an old one.
docker/.env:
	@umask 077; secrets=$$($(PYTHON) -c 'import secrets; [print(f"{name}={secrets.token_hex(32)}") for name in \
		("PICASSO_SECRET_KEY", "PICASSO_TOKEN", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD")]') && echo "$$secrets" >$@
	@echo 'Made random secrets in $@: keep that file as long as the volumes'

clean: ## Remove .venv, caches and builds; data/ stays
	rm -rf $(VENV) .venv-* build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
