# make demo, make test: each makes its own environment where there is none.
# make VENV=/somewhere demo uses an environment that is there.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.emosphere-installed

.PHONY: demo demo-cost test test-unit test-slow learn checks sorting preparation bench bench-cache profile backbones \
	bench-predict bench-onnx predict-example tables coverage docs lint clean

demo: $(READY)
	$(BIN)/python recipes/MSP-Podcast/train.py hparams/emosphere.yaml --preset=demo

test: $(READY)
	$(BIN)/python -m pytest

# A few minutes: everything but whole runs (tests/integration), with the examples in docstrings.
test-unit: $(READY)
	$(BIN)/python -m pytest tests/unit tests/consistency emosphere_sb data_prep

# What takes minutes: two dozen kills in a row, whole runs under torchrun.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Puts the cost of the last make demo into recipes/MSP-Podcast/README.md.
demo-cost: $(READY)
	$(BIN)/python benchmarks/demo_cost.py

# The demo over three seeds, beside ridge regression and shuffled labels: recipes/MSP-Podcast/README.md
checks: $(READY)
	$(BIN)/python benchmarks/demo_checks.py

# The demo with and without sorting by length, three seeds: benchmarks/RESULTS.md
sorting: $(READY)
	$(BIN)/python benchmarks/sorting.py

# Real speech: recipes/OwnData on TAVA (see recipes/OwnData/README.md), style and mean pooling.
learn: $(READY)
	$(BIN)/python benchmarks/learn.py

# Time and memory of the preparation, up to 264,705 files: benchmarks/RESULTS.md
preparation: $(READY)
	$(BIN)/python benchmarks/preparation.py

# Speed and memory beside the published pipeline, about ten minutes on two cores, and Whisper without
# padding: benchmarks/RESULTS.md
bench: $(READY)
	$(BIN)/python benchmarks/whisper_padding.py
	$(BIN)/python benchmarks/throughput.py

# Where the time goes in training and evaluation: benchmarks/RESULTS.md
profile: $(READY)
	$(BIN)/python benchmarks/profiling.py

# Training from cached features of a frozen backbone: benchmarks/RESULTS.md
bench-cache: $(READY)
	$(BIN)/python benchmarks/feature_cache.py

# What emosphere predict writes, of the last make demo: README.md
predict-example: $(READY)
	$(BIN)/python benchmarks/predict_example.py

# The table of backbones in README.md
backbones: $(READY)
	$(BIN)/python benchmarks/backbones.py

# Two tables on synthetic speech, from one command: README.md. Started again, it goes on.
tables: $(READY)
	$(BIN)/python benchmarks/demo_tables.py

# Prediction on many files and on an hour of speech: benchmarks/RESULTS.md
bench-predict: $(READY)
	$(BIN)/python benchmarks/prediction.py

# PyTorch, ONNX in float32, and int8: benchmarks/RESULTS.md. Its CCC needs a run: make demo
bench-onnx: $(READY)
	$(BIN)/python benchmarks/onnx_speed.py

# Do bootstrap intervals hold the truth as often as they say? docs/statistics.md
coverage: $(READY)
	$(BIN)/python benchmarks/coverage.py

# Every command and every Python block of the READMEs and the tutorial, run for real at a tiny size.
docs: $(READY)
	$(BIN)/python -m pytest -m docs --durations=10 tests/docs

lint: $(READY)
	$(BIN)/pip install -q ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# constraints.txt: the versions that this tree was tested with.
$(READY): setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; found " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	touch $(READY)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
