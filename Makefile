# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= build

.PHONY: install reproduce test gpu study-gpu lint attack claims statements docs tutorials mutants bench figures clean
.DELETE_ON_ERROR:

install: $(VENV)/installed

# nothing is compiled that is never imported, and what is imported is kept, even where the environment forbids it
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
export PYTHONDONTWRITEBYTECODE :=

# the pip that comes with Python 3.11 takes twice as long
$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

# what the results need, and what the tests, documents and linters need too
$(VENV)/ready: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[data,figures,report,testing]'
	touch $@

# asked for at once, everything is resolved once
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[data,testing,cluster,figures,report,transformers,docs,dev]'
	touch $(VENV)/ready $@

reproduce: $(VENV)/ready
	mkdir -p $(OUT)
	@echo "== From which inverse temperature on are the 1 797 handwritten digits stored?"
	$(BIN)/hopfield-theory find-beta digits --centre --normalise --json $(OUT)/digits-beta.json
	@echo "== The certificate there"
	$(BIN)/hopfield-theory certify digits --centre --normalise --beta 363 --json $(OUT)/digits-certificate.json
	@echo "== Half of every digit hidden"
	$(BIN)/hopfield-theory retrieve digits --centre --normalise --beta 363 --hide 0.5 --json $(OUT)/digits-half-hidden.json
	@echo "== How many random patterns fit in 20 dimensions"
	$(BIN)/hopfield-theory bounds --dim 20 --beta 1 --scale 3 --json $(OUT)/bounds.json
	@echo "== How many are stored in fact, and a picture of it"
	$(BIN)/python -m simulations capacity --executor processes --out $(OUT)/results
	$(BIN)/python -m figures capacity_rates --results $(OUT)/results --out $(OUT)/figures
	@echo "== Every theorem, checked"
	$(BIN)/hopfield-theory verify --json $(OUT)/verdicts.json --html $(OUT)/verdicts.html --figures $(OUT)/figures
	@echo "Results: $(OUT)/, the verdicts: $(OUT)/verdicts.html"

PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n auto

# SLOW=yes: in the same run, what is slow: a wheel, a browser, a cluster, processes that are killed, dear enclosures
SLOW ?=
test: install
	$(PYTEST) $(if $(SLOW),--dist loadgroup --no-loadscope-reorder,--dist worksteal -m "not slow")

# from the source tree, with a Python that has PyTorch for CUDA: the tests on the card, then the table of ratios
gpu:
	mkdir -p $(OUT)
	status=0; \
	OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive timeout -s INT -k 10 180 $(PYTHON) -m pytest -q -n 12 --dist worksteal \
		-o filterwarnings=default -p no:cacheprovider tests/gpu > $(OUT)/gpu-tests.txt 2>&1 || status=$$?; \
	tail -n 25 $(OUT)/gpu-tests.txt; \
	$(PYTHON) -m benchmarks.gpu $(OUT) || status=$$?; \
	exit $$status

# likewise, the study of trained models for LIMIT seconds; a second run goes on where this one ended. What there is is
# shown whatever failed; a figure that needs a method which was not reached says so and fails nothing
LIMIT ?= 420
study-gpu:
	mkdir -p $(OUT)
	status=0; \
	timeout -s INT -k 30 $(LIMIT) $(PYTHON) -m simulations models --preset gpu --device cuda --executor processes \
		--workers 3 --out build/study || status=$$?; \
	test $$status -ne 124 -a $$status -ne 130 || status=0; \
	test -d build/study || exit $$status; \
	$(PYTHON) -m figures.models_table build/study --partial > $(OUT)/study.md || status=$$?; \
	cat $(OUT)/study.md; \
	for figure in models_curves models_bars; do $(PYTHON) -m figures $$figure --results build/study --partial \
		--format png --dpi 150 --out $(OUT); done; \
	cp build/study/*.parquet $(OUT) || true; \
	exit $$status

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# how many planted errors the search for counterexamples finds
attack: install
	$(BIN)/python -m benchmarks.attack

# the page of claims and its counterexamples, from a full verification; the page of measured results, from results/
claims: install
	mkdir -p $(OUT)
	$(BIN)/hopfield-theory verify --level full --counterexamples docs/counterexamples --json $(OUT)/claims.json
	$(BIN)/python -m hopfield_theory.verification.render.markdown $(OUT)/claims.json docs/claims.md
	$(BIN)/python -m figures.results_page

# the index of all statements: where each one stands, what checks, measures and shows it, its proof
statements: install
	$(BIN)/python -m hopfield_theory.verification.render.index docs/statements.md

# the site, readable offline, and no warning about it: build/site/index.html
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The site: build/site/index.html"

# what the tutorials print, their pictures and notebooks
tutorials: install
	$(BIN)/python -m website.tutorials

# how many small errors in the library the tests notice
mutants: install
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m benchmarks.mutants

bench: install
	$(BIN)/python -m benchmarks

# every figure, from the quick experiments and two benchmarks; finished cells are not measured again
EXPERIMENTS := basins capacity closeness convergence digits exponents landscape metastable models noise outliers rejection sink_conditions sinks
figures: install
	@for name in $(EXPERIMENTS); do \
		echo "== $$name" && $(BIN)/python -m simulations $$name --executor processes --out $(OUT)/results || exit $$?; \
	done
	RESULTS=$(abspath $(OUT))/results $(BIN)/python -m benchmarks attention update
	$(BIN)/python -m figures --results $(OUT)/results --out $(OUT)/figures

clean:
	rm -rf $(VENV) $(OUT) dist .pytest_cache .ruff_cache .hypothesis
