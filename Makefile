# Each target creates the environment .venv if it does not exist.
# To use an existing environment: make VENV=/somewhere demo
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.emosphere-installed

.PHONY: demo demo-cost test test-unit test-slow learn checks sorting preparation bench bench-cache bench-gpu profile backbones \
	bench-predict bench-onnx predict-example tables coverage docs lint messages clean

demo: $(READY)
	$(BIN)/python recipes/MSP-Podcast/train.py hparams/emosphere.yaml --preset=demo

test: $(READY)
	$(BIN)/python -m pytest

# All tests except complete runs (tests/integration), including docstring examples: a few minutes.
test-unit: $(READY)
	$(BIN)/python -m pytest tests/unit tests/consistency emosphere_sb data_prep

# Slow tests: repeated kills and complete runs with torchrun.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Write the cost of the last make demo into recipes/MSP-Podcast/README.md.
demo-cost: $(READY)
	$(BIN)/python benchmarks/demo_cost.py

# Demo with three seeds, ridge regression and shuffled labels: recipes/MSP-Podcast/README.md
checks: $(READY)
	$(BIN)/python benchmarks/demo_checks.py

# Demo with and without batches of similar lengths, three seeds: benchmarks/RESULTS.md
sorting: $(READY)
	$(BIN)/python benchmarks/sorting.py

# Real speech (TAVA) with style and mean pooling: recipes/OwnData/README.md
learn: $(READY)
	$(BIN)/python benchmarks/learn.py

# Time and memory of the data preparation, up to 264,705 files: benchmarks/RESULTS.md
preparation: $(READY)
	$(BIN)/python benchmarks/preparation.py

# Speed and memory compared with the published pipeline, and Whisper without padding, about ten
# minutes on two cores: benchmarks/RESULTS.md
bench: $(READY)
	$(BIN)/python benchmarks/whisper_padding.py
	$(BIN)/python benchmarks/throughput.py

# Profile of training and evaluation: benchmarks/RESULTS.md
profile: $(READY)
	$(BIN)/python benchmarks/profiling.py

# Speed, memory, exact resume and NCCL on one GPU, at most six minutes: benchmarks/RESULTS.md
# Without a GPU: .venv/bin/python benchmarks/gpu.py --device=cpu --size=tiny
bench-gpu: $(READY)
	$(BIN)/python benchmarks/gpu.py

# Speed of training from cached features of a frozen backbone: benchmarks/RESULTS.md
bench-cache: $(READY)
	$(BIN)/python benchmarks/feature_cache.py

# Example output of emosphere predict for the model of the last make demo: README.md
predict-example: $(READY)
	$(BIN)/python benchmarks/predict_example.py

# Table of backbones: README.md
backbones: $(READY)
	$(BIN)/python benchmarks/backbones.py

# Two result tables on synthetic speech: README.md. Finished runs are skipped.
tables: $(READY)
	$(BIN)/python benchmarks/demo_tables.py

# Speed of prediction for many files and for an hour of speech: benchmarks/RESULTS.md
bench-predict: $(READY)
	$(BIN)/python benchmarks/prediction.py

# Comparison of PyTorch, ONNX in float32, and int8 (requires make demo): benchmarks/RESULTS.md
bench-onnx: $(READY)
	$(BIN)/python benchmarks/onnx_speed.py

# Coverage of the bootstrap intervals: docs/statistics.md
coverage: $(READY)
	$(BIN)/python benchmarks/coverage.py

# Run each command and Python block of the READMEs and the tutorial with tiny models.
docs: $(READY)
	$(BIN)/python -m pytest -m docs --durations=10 tests/docs

lint: $(READY)
	$(BIN)/pip install -q ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# All help texts and messages in one file, for proofreading.
messages: $(READY)
	$(BIN)/python -m tests.helpers.messages messages.txt

# constraints.txt lists the tested versions.
$(READY): setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is required; found " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	touch $(READY)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
