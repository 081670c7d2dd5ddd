# Each target creates the environment .venv if it does not exist. Paths at the end of a comment name
# the file that the target writes to. To use an existing environment: make VENV=/somewhere demo
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.emosphere-installed

.PHONY: demo demo-cost test test-unit test-random test-slow learn checks sorting preparation bench bench-cache bench-gpu \
	profile backbones test-cost bench-predict bench-engines roofline bench-bf16 bench-startup bench-scale bench-onnx \
	predict-example speech-detection training-distance tables real-tables coverage docs \
	site notebook figure install-size lint messages clean

demo: $(READY)
	$(BIN)/python recipes/MSP-Podcast/train.py hparams/emosphere.yaml --preset=demo

# Run all tests, in one process per core and at most four.
test: $(READY)
	$(BIN)/python -m pytest -n auto

# Run all tests except complete runs (tests/integration), but including docstring examples; takes a few minutes.
test-unit: $(READY)
	$(BIN)/python -m pytest -n auto tests/unit tests/consistency emosphere_sb data_prep

# Run all tests in random order, to find tests that depend on others. The seed is printed; to repeat
# an order, run pytest with --random-order-seed.
test-random: $(READY)
	$(BIN)/python -m pip install -q -c constraints.txt pytest-random-order
	$(BIN)/python -m pytest -n auto --random-order-bucket=global

# Run the slow tests: repeated kills, and complete runs with torchrun.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Write the time and memory of the last make demo to recipes/MSP-Podcast/README.md.
demo-cost: $(READY)
	$(BIN)/python benchmarks/demo_cost.py

# Run make test and write its time to README.md.
test-cost: $(READY)
	$(BIN)/python benchmarks/test_cost.py

# Run the demo with three seeds, ridge regression, and shuffled labels: recipes/MSP-Podcast/README.md
checks: $(READY)
	$(BIN)/python benchmarks/demo_checks.py

# Run the demo with batches of similar lengths and with random batches, three seeds each: benchmarks/RESULTS.md
sorting: $(READY)
	$(BIN)/python benchmarks/sorting.py

# Train on real speech (TAVA) with style pooling and with mean pooling: recipes/OwnData/README.md
# make learn TAVA=/path/to/tava
learn: $(READY)
	$(BIN)/python benchmarks/learn.py --data=$(TAVA)

# Compare settings and baselines on real speech with pretrained weights, cross-validated; at most
# 2.5 hours on two cores: docs/real_speech.md. Finished runs are skipped.
# make real-tables TAVA=/path/to/tava ENCODER=/path/to/whisper-base-encoder
real-tables: $(READY)
	$(BIN)/python benchmarks/real_tables.py --data=$(TAVA) --encoder=$(ENCODER)

# Measure time and memory of data preparation for up to 264,705 files: benchmarks/RESULTS.md
preparation: $(READY)
	$(BIN)/python benchmarks/preparation.py

# Compare speed and memory with the published pipeline, and Whisper with and without padding; takes
# about ten minutes on two cores: benchmarks/RESULTS.md
bench: $(READY)
	$(BIN)/python benchmarks/whisper_padding.py
	$(BIN)/python benchmarks/throughput.py

# Profile training and evaluation: benchmarks/RESULTS.md
profile: $(READY)
	$(BIN)/python benchmarks/profiling.py

# Measure speed and memory and check results on one GPU, at most six minutes: benchmarks/RESULTS.md
# Without a GPU: .venv/bin/python benchmarks/gpu.py --device=cpu --size=tiny
bench-gpu: $(READY)
	$(BIN)/python benchmarks/gpu.py

# Measure the speed of training from cached features of a frozen backbone: benchmarks/RESULTS.md
bench-cache: $(READY)
	$(BIN)/python benchmarks/feature_cache.py

# Write example output of emosphere predict for the model of the last make demo: docs/inference.md
predict-example: $(READY)
	$(BIN)/python benchmarks/predict_example.py

# Count warnings about sounds without speech and about speech: docs/inference.md
# make speech-detection TAVA=/path/to/tava RUNS="a finished run on it for each fold"
# To add recorded sounds without speech: RECORDED="'NAME=/path/to/folder'"
speech-detection: $(READY)
	$(BIN)/python benchmarks/speech_detection.py --data=$(TAVA) --runs $(RUNS) $(if $(RECORDED),--recorded $(RECORDED))

# Compare distances from the training data: docs/inference.md
# make training-distance TAVA=/path/to/tava RUNS="a finished run on it for each fold"
training-distance: $(READY)
	$(BIN)/python benchmarks/training_distance.py --data=$(TAVA) --runs $(RUNS)

# Write the table of backbones: docs/backbones.md
backbones: $(READY)
	$(BIN)/python benchmarks/backbones.py

# Generate two results tables on synthetic speech: docs/evaluation.md. Finished runs are skipped.
tables: $(READY)
	$(BIN)/python benchmarks/demo_tables.py

# Measure the speed of prediction for many files and for an hour of speech: benchmarks/RESULTS.md
bench-predict: $(READY)
	$(BIN)/python benchmarks/prediction.py

# Compare the engines of prediction with a plain transformers loop, and their scores on real speech;
# takes about 15 minutes on two cores: benchmarks/RESULTS.md
# make bench-engines TAVA=/path/to/tava ENCODER=/path/to/whisper-base-encoder
bench-engines: $(READY)
	$(BIN)/python benchmarks/engines.py --data=$(TAVA) --encoder=$(ENCODER)

# Compare the time of each part of WavLM-base with the speed of matrix products: benchmarks/RESULTS.md
roofline: $(READY)
	$(BIN)/python benchmarks/roofline.py

# Compare training in bfloat16 and float32 on a CPU, also on real speech; takes about 30 minutes on two
# cores: benchmarks/RESULTS.md. Finished runs are skipped.
# make bench-bf16 TAVA=/path/to/tava ENCODER=/path/to/whisper-base-encoder
bench-bf16: $(READY)
	$(BIN)/python benchmarks/bfloat16.py --data=$(TAVA) --encoder=$(ENCODER)

# Measure the CPU time of a prediction for one short file with each engine: benchmarks/RESULTS.md
bench-startup: $(READY)
	$(BIN)/python benchmarks/startup.py

# Measure time and memory for up to 264,705 utterances without audio: benchmarks/RESULTS.md
bench-scale: $(READY)
	$(BIN)/python benchmarks/scale.py

# Compare PyTorch, ONNX in float32, and ONNX in int8 (requires make demo): benchmarks/RESULTS.md
bench-onnx: $(READY)
	$(BIN)/python benchmarks/onnx_speed.py

# Measure the coverage of the bootstrap intervals: docs/statistics.md
coverage: $(READY)
	$(BIN)/python benchmarks/coverage.py

# Run each command and Python block of the READMEs, docs and the notebook with tiny models, and build
# the site.
docs: $(READY)
	$(BIN)/python -m pytest -m docs --durations=10 tests/docs

# Build the documentation site; a warning is an error. Start page: site/index.html
site: $(READY)
	$(BIN)/python -m sphinx --nitpicky --fail-on-warning --keep-going -q -c docs . site

# Execute the notebook and write its outputs: docs/quickstart.ipynb
notebook: $(READY)
	$(BIN)/python benchmarks/execute_notebook.py

# Draw the figure of the README with the model of the last make demo: docs/figure.png
figure: $(READY)
	$(BIN)/python benchmarks/readme_figure.py

# Measure the download and disk sizes of the dependencies: docs/installation.md and README.md
install-size: $(READY)
	$(BIN)/python benchmarks/install_size.py

lint: $(READY)
	$(BIN)/pip install -q ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Write all help texts and messages to one file for proofreading.
messages: $(READY)
	$(BIN)/python -m tests.helpers.messages messages.txt

# constraints.txt lists the tested versions.
$(READY): setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is required; found " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	touch $(READY)

clean:
	rm -rf build dist site docs/api/generated *.egg-info .pytest_cache .ruff_cache
