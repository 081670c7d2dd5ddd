"""Test the structure of the packages: layers, import rules, folder sizes, and imports of torch.

``test_layer_rules.py`` shows that each rule can fail. ``tests/unit/test_cli.py`` tests that the
help of the commands does not import torch.
"""

import subprocess
import sys

import pytest

from emosphere_sb.recipe.corpora import CORPORA
from tests.helpers import layer_rules as rules
from tests.helpers.imports import SourceTree

# From top to bottom. Each layer imports only from lower layers; modules in a layer are independent.
LAYERS = [
    {"cli"},
    {"commands"},
    {"demo_page", "onnx_export", "tables"},
    {"inference"},
    {"public_models"},
    {"release"},
    {"report"},
    {"recipe"},
    {"console"},
    {"training", "results"},
    {"data", "lobes", "metrics"},
    {"backbones", "losses", "sphere", "audio", "distributed"},
    {"scale", "fileio", "html"},
]
CORPUS_READERS = (
    "emosphere_sb/recipe/",
    "emosphere_sb/commands/prepare.py",
    "emosphere_sb/commands/export.py",
    "emosphere_sb/inference/evaluation.py",
)
COMMAND_LINE = ("emosphere_sb/cli.py", "emosphere_sb/commands/")
MAXIMUM_FILES = 20


@pytest.fixture(scope="module")
def tree(root):
    tree = SourceTree(root, ["emosphere_sb", "data_prep", "recipes"])
    assert len(tree.files) > 150
    assert len(tree.imports) > 500
    return tree


def assert_none(violations):
    """Fail with one line per violation, because pytest truncates lists."""
    assert not violations, "\n".join(violations)


def existing(tree, *files):
    """Return relative paths of allowed files after checking that they exist."""
    assert_none(rules.missing_files(tree, files))
    return files


def test_no_import_cycles(tree):
    assert_none(rules.import_cycles(tree))


def test_number_of_files_per_folder_is_limited(tree):
    folders = rules.files_by_folder(tree)
    assert len(folders) > 25
    assert max(folders.values()) > 5  # files were counted
    assert_none(rules.crowded_folders(tree, limit=MAXIMUM_FILES))


def test_modules_import_only_lower_layers(tree):
    assert_none(rules.upward_imports(tree, "emosphere_sb", LAYERS))


def test_recipes_import_only_the_entry_point(tree):
    uses = [use for use in tree.imports if use.importer.startswith("recipes.")]
    assert {tree.path(use.importer) for use in uses} == {
        f"recipes/{corpus}/train.py" for corpus in CORPORA
    }
    assert {use.imported for use in uses} == {"emosphere_sb.recipe.main"}


def test_data_prep_imports_only_leaf_packages_of_the_library(tree):
    leaves = r"emosphere_sb\.(scale|audio|fileio)(\..*)?"
    uses = rules.imports_outside(tree, of="emosphere_sb", by="data_prep")
    assert len(uses) > 5
    assert_none(rules.imports_outside(tree, of="emosphere_sb", by="data_prep", allowed=leaves))


def test_only_corpus_readers_import_data_prep(tree):
    allowed = existing(tree, *CORPUS_READERS)
    assert len(rules.imports_outside(tree, of="data_prep", by="emosphere_sb")) > 10
    assert_none(
        rules.imports_outside(tree, of="data_prep", by="emosphere_sb", allowed_files=allowed)
    )


def test_training_does_not_import_report(tree):
    training = [f"emosphere_sb.{package}" for package in ("recipe", "training", "data")]
    assert rules.indirect_imports(tree, of="emosphere_sb.scale", by=training)
    assert_none(rules.indirect_imports(tree, of="emosphere_sb.report", by=training))


def test_corpus_names_appear_in_one_file(tree):
    names = list(CORPORA)
    everywhere = rules.string_literals(tree, names, package="emosphere_sb")
    assert {line.partition(":")[0] for line in everywhere} > {"emosphere_sb/recipe/corpora.py"}
    assert_none(
        rules.string_literals(
            tree,
            names,
            package="emosphere_sb",
            allowed_files=existing(
                tree,
                "emosphere_sb/recipe/corpora.py",
                "emosphere_sb/public_models/modules.py",  # training corpora of public checkpoints
            ),
            help_files=existing(tree, *COMMAND_LINE),
        )
    )


def test_only_commands_parse_arguments(tree):
    parsers = ("emosphere_sb/recipe/arguments.py", "emosphere_sb/recipe/command_line.py")
    assert len(rules.argument_parsing(tree, allowed_files=())) > 5
    assert_none(
        rules.argument_parsing(tree, allowed_files=(*existing(tree, *COMMAND_LINE), *parsers))
    )


def test_only_commands_print(tree):
    others = ("emosphere_sb/recipe/main.py", "emosphere_sb/console.py")
    assert len(rules.prints(tree, allowed_files=())) > 20
    assert_none(rules.prints(tree, allowed_files=(*existing(tree, *COMMAND_LINE), *others)))


def test_unit_tests_mirror_the_library(tree, root):
    """Each folder of unit tests corresponds to a package, except the shared parser tests."""
    others = {"benchmarks", "data_prep/mutants"}
    unit = root / "tests" / "unit"
    folders = {path.parent.relative_to(unit).as_posix() for path in unit.rglob("test_*.py")}
    packages = {folder.removeprefix("emosphere_sb/") for folder in rules.files_by_folder(tree)}
    assert len(folders) > 20
    assert not folders - packages - others - {"."}


MODULES_WITHOUT_TORCH = [
    "emosphere_sb",
    "emosphere_sb.scale",
    "emosphere_sb.cli",
    "emosphere_sb.recipe.main",
]


def run_python(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("module", MODULES_WITHOUT_TORCH)
def test_import_does_not_load_torch(module):
    assert run_python(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_data_prep_does_not_load_torch(tree):
    modules = [module for module in tree.files if module.startswith("data_prep")]
    assert len(modules) > 20
    loaded = run_python(f"import sys, {', '.join(modules)}; print('torch' in sys.modules)")
    assert loaded == "False"
