# Every target hands over to the shopstream command or to a tool in .venv, which `setup` makes first.
# Settings: PYTHON=python3.12, and ARGS="..." for further options of the command behind a target.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
VENV := .venv/Scripts
else
VENV := .venv/bin
endif
BOOTSTRAP = $(PYTHON) -m spark_apps.bootstrap $(if $(INSTALL_JAVA),--install-java)

# INPUT="one.csv two.csv" or a pattern; "\ " stands for a space within a name. Each name reaches the shell quoted.
empty :=
space := $(empty) $(empty)
quoted = '$(subst ','\'',$(1))'
names = $(foreach word,$(subst \$(space),<space>,$(value INPUT)),$(or $(wildcard $(word)),$(word)))
inputs = $(foreach name,$(names),--input $(call quoted,$(subst <space>,$(space),$(name))))

.PHONY: help setup setup-dev demo test lint bench kill-test report clean-venv

help: ## show this list
	@$(PYTHON) -c "import re; [print('  make %-11s %s' % line) for line in re.findall('(?m)^([a-z-]+):.*?## (.*)', open('Makefile').read())]"

setup: ## make .venv and look for Java (INSTALL_JAVA=1 downloads one where none is found)
	@$(BOOTSTRAP)

setup-dev: ## the same with the tools for test, lint and bench
	@$(BOOTSTRAP) --dev

demo: setup ## the whole pipeline on EVENTS=300000 generated events, or on INPUT="a.csv b.csv"
	$(VENV)/shopstream demo $(or $(inputs),--events $(or $(EVENTS),300000)) $(ARGS)

test: setup-dev ## all tests that need no Docker (ARGS="-k name")
	$(VENV)/python -m pytest $(ARGS)

lint: setup-dev ## style, types, docstrings, import arrows
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/interrogate --quiet spark_apps
	$(VENV)/lint-imports

bench: setup-dev ## our run beside the peers' on the same EVENTS=2000000 events
	$(VENV)/python -m bench.compare --events $(or $(EVENTS),2000000) $(ARGS)

kill-test: setup-dev ## kill jobs at KILLS=100 random moments and compare the results
	$(VENV)/python -m bench.kills --kills $(or $(KILLS),100) $(ARGS)

report: setup ## write the HTML report of the last run again
	$(VENV)/shopstream report $(ARGS)

clean-venv: ## take .venv away
	@$(PYTHON) -c "import shutil; shutil.rmtree('.venv', ignore_errors=True)"
