# Every target hands over to the shopstream command or to a tool in .venv, which `setup` makes first.
# Settings: PYTHON=python3.12, SPARK=1 for Spark in .venv, and ARGS="..." for further options of the command behind a
# target.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
VENV := .venv/Scripts
else
VENV := .venv/bin
endif
BOOTSTRAP = $(PYTHON) -m spark_apps.runtime.bootstrap $(if $(SPARK),--spark) $(if $(INSTALL_JAVA),--install-java)

# INPUT="one.csv two.csv" or a pattern; "\ " stands for a space within a name. Each name reaches the shell quoted.
empty :=
space := $(empty) $(empty)
quoted = '$(subst ','\'',$(1))'
names = $(foreach word,$(subst \$(space),<space>,$(value INPUT)),$(or $(wildcard $(word)),$(word)))
inputs = $(foreach name,$(names),--input $(call quoted,$(subst <space>,$(space),$(name))))

.PHONY: help setup setup-dev setup-hosts lint-hosts hosts-up demo test test-cluster test-hosts test-windows test-browser test-dashboards lint bench bench-als bench-dashboards bench-panel bench-stream dashboards kill-test cluster-kill-test report clean-venv \
	cluster-up cluster-status cluster-down load submit-train simulate

help: ## show this list
	@$(PYTHON) -c "import re, shutil, textwrap; width = shutil.get_terminal_size().columns; [print(textwrap.fill('  make %-18s %s' % line, width, subsequent_indent=26 * ' ', break_on_hyphens=False)) for line in re.findall('(?m)^([a-z-]+):.*?## (.*)', open('Makefile').read())]"

setup: ## make .venv (SPARK=1: with Spark, which needs Java; INSTALL_JAVA=1: with both)
	@$(BOOTSTRAP)

setup-dev: ## the same with Spark and the tools for test, lint and bench
	@$(BOOTSTRAP) --dev

setup-hosts: ## what a cluster on several hosts needs here: tools for test and lint, and Ansible
	@$(BOOTSTRAP) --hosts

hosts-up: setup-hosts ## bring the cluster up on the hosts of INVENTORY=inventory.yaml
	cd ansible && ../$(VENV)/ansible-playbook -i $(call quoted,$(abspath $(INVENTORY))) site.yaml $(ARGS)

demo: setup ## the whole pipeline on EVENTS=300000 generated events, or on INPUT="a.csv b.csv"
	$(VENV)/shopstream demo $(or $(inputs),--events $(or $(EVENTS),300000)) $(ARGS)

cluster-up: setup ## HDFS, Spark, InfluxDB and Grafana in Docker (ARGS="--memory 12g")
	$(VENV)/shopstream cluster up $(ARGS)

cluster-status: setup ## what runs, and where its pages are
	$(VENV)/shopstream cluster status $(ARGS)

cluster-down: setup ## stop it; data is kept
	$(VENV)/shopstream cluster down $(ARGS)

load: setup ## land FILE=events.csv in the cluster's HDFS
	$(VENV)/shopstream cluster load $(call quoted,$(FILE)) $(ARGS)

submit-train: setup ## clean and train on the cluster
	$(VENV)/shopstream submit clean
	$(VENV)/shopstream submit train $(ARGS)

simulate: setup ## replay November on the cluster, and the stream beside it (ARGS="--interval 10s")
	$(VENV)/shopstream submit simulate --stream $(ARGS)

# two processes: each has a Spark of its own, of up to 2 GB, and takes whole files, whose fixtures are made once
SIDE_BY_SIDE = --numprocesses 2 --dist loadfile --no-loadscope-reorder
test: setup-dev ## all tests that need no Docker (ARGS="-k name")
	$(VENV)/python -m pytest --ignore=tests/cluster --ignore=tests/hosts --ignore=tests/windows $(SIDE_BY_SIDE) $(ARGS)

test-cluster: setup-dev ## tests on a real cluster in Docker, made for them (ARGS='-m "not long"' for the short form)
	$(VENV)/python -m pytest tests/cluster $(ARGS)

test-hosts: setup-hosts ## tests on three stand-ins for hosts (ARGS='-m "not long"' for the short form)
	$(VENV)/python -m pytest tests/hosts $(ARGS)

test-windows: setup-dev ## commands on Windows' own Python in Wine, as root (ARGS='-m "not long"' for the short form)
	$(VENV)/python -m pytest tests/windows $(ARGS)

test-dashboards: setup-dev ## dashboards and alerts on a Grafana and an InfluxDB without a cluster (GRAFANA_IMAGE=name:version)
	$(VENV)/python -m tests.grafana.servers $(VENV)/python -m pytest tests/cluster/test_dashboards.py tests/cluster/browser $(ARGS)

test-browser: setup-dev ## every dashboard of a real Grafana in a real Chromium (SHOPSTREAM_PICTURES=folder keeps pictures)
	$(VENV)/python -m pytest tests/cluster/browser $(ARGS)

lint: setup-dev ## style, types, docstrings, import arrows
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/mypy --python-version 3.11 -p grafana.panels
	$(VENV)/interrogate --quiet spark_apps
	$(VENV)/lint-imports

lint-hosts: setup-hosts ## the Ansible part: ansible-lint (production), yamllint, its unit tests
	PATH="$(CURDIR)/$(VENV):$$PATH" $(VENV)/ansible-lint --nocolor -c ansible/.ansible-lint ansible
	$(VENV)/yamllint --strict -c .yamllint ansible compose/hosts.yaml compose/hosts-monitoring.yaml compose/hosts-client.yaml
	$(VENV)/python -m pytest tests/ansible

bench: setup-dev ## our run beside the peers' on the same EVENTS=2000000 events
	$(VENV)/python -m bench.compare --events $(or $(EVENTS),2000000) $(ARGS)

bench-dashboards: setup-dev ## query times of dashboards with 30 days of points, and their size, on an InfluxDB of its own
	$(VENV)/python -m bench.dashboards queries $(ARGS)

bench-panel: setup-dev ## from a file's drop to a panel: the stream of ROOT=data on this machine, or of CLUSTER=name
	$(VENV)/python -m bench.dashboards $(if $(CLUSTER),cluster $(CLUSTER),latency $(or $(ROOT),data)) $(ARGS)

bench-als: setup-dev ## our ALS and MLlib's beside implicit on its own, on EVENTS=300000 events
	$(VENV)/python -m bench.als_engines --events $(or $(EVENTS),300000) $(ARGS)

bench-stream: setup-dev ## BATCHES=100 files of EVENTS=10000 through the stream of ROOT=data
	$(VENV)/python -m bench.stream $(or $(ROOT),data) --batches $(or $(BATCHES),100) --events $(or $(EVENTS),10000) $(ARGS)

dashboards: setup-dev ## write Grafana's dashboards and alert rules from grafana/panels (Python 3.11 or newer)
	$(VENV)/python -m grafana.panels

kill-test: setup-dev ## kill jobs at KILLS=100 random moments and compare the results
	$(VENV)/python -m bench.kills --kills $(or $(KILLS),100) $(ARGS)

cluster-kill-test: setup-dev ## kill parts of a real cluster KILLS=20 times while BATCHES=60 files are streamed (SEED=11)
	SHOPSTREAM_TEST_KILLS=$(or $(KILLS),20) SHOPSTREAM_TEST_BATCHES=$(or $(BATCHES),60) SHOPSTREAM_TEST_SEED=$(or $(SEED),11) \
		$(VENV)/python -m pytest tests/cluster/test_stream.py -s $(ARGS)

report: setup ## write the HTML report of the last run again
	$(VENV)/shopstream report $(ARGS)

clean-venv: ## take .venv away
	@$(PYTHON) -c "import shutil; shutil.rmtree('.venv', ignore_errors=True)"
