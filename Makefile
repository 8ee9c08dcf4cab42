# restore-archive: `make demo` shows it, `make restore SOURCE=… DESTINATION=…` uses it, `make test` proves it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
AUDIT  := .venv-audit

.PHONY: install demo restore test lint bench long browser fidelity chaos fuzz mutants night sbom audit clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "restore-archive needs Python 3.11 or later: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	touch $@

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,test,lint]'
	touch $@

demo: $(STAMP)
	$(BIN)/python -m flows.demo

restore: $(STAMP)
	@test -n "$(SOURCE)" -a -n "$(DESTINATION)" || { echo 'usage: make restore SOURCE=folder-or-s3-url DESTINATION=folder-or-s3-url' >&2; exit 2; }
	$(BIN)/restore-archive run "$(SOURCE)" "$(DESTINATION)"

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

# What docs/measurements.md reports, measured here: stages one by one and the whole run, one 720p clip.
bench: $(STAMP)
	$(BIN)/python -m flows.measure stages

# Memory and temporary data while an hour of 1080p is restored; takes hours, 15 GB of disk, and wants Linux.
long: $(STAMP)
	$(BIN)/python -m flows.measure long

# What was restored, played and sought in Chromium; skipped where there is none.
browser: $(DEV)
	$(BIN)/python -m pytest -m browser -rs tests/browser

# What becomes of every kind of video: the whole matrix, and each file of a folder (make fidelity ODD_MEDIA=folder).
# Writes docs/fidelity.md; `make test` runs the quick part.
fidelity: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fidelity $(if $(ODD_MEDIA),--files "$(ODD_MEDIA)")

# Faults of every kind, put into real runs: kills, full disks, a failing store, lost nodes. About an hour on two cores;
# stopped by SECONDS or Ctrl-C, the same command goes on. Writes docs/reliability.md.
chaos: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),3600) --run $(or $(RUN),1)

# Changed files through every reader: make fuzz SECONDS=3600 ODD_MEDIA=folder RUN=2. Findings go to scratch/fuzz;
# `make test` runs some of it.
fuzz: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) --run $(or $(RUN),1) $(if $(ODD_MEDIA),--files "$(ODD_MEDIA)")

# Changed files through the command line, 250 at a time: make mutants COUNT=5000 ODD_MEDIA=folder RUN=2. Findings go to
# scratch/mutants; `make test` runs a few. Linux.
mutants: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.mutants --count $(or $(COUNT),5000) --run $(or $(RUN),1) $(if $(ODD_MEDIA),--files "$(ODD_MEDIA)")

# A night in small: an hour over thousands of tiny videos while actors are killed; nothing may grow from minute 10 on.
# Readings, plot and table go to scratch/night-in-small. Linux.
night: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.night --minutes $(or $(MINUTES),62)

# A software bill of materials (CycloneDX) of what is installed here: packages, FFmpeg, weights. Needs no network.
sbom: $(STAMP)
	$(BIN)/python -m deblur_core.provenance.software_bill > sbom.cdx.json

# Known holes in what is installed. Asks PyPI, so it runs where that answers, and fails where a package is not known there.
audit: $(STAMP)
	test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet 'pip-audit>=2.9,<3'; }
	$(AUDIT)/bin/pip-audit --strict --skip-editable --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean:
	rm -rf $(VENV) $(AUDIT) demo
