"""Test the rules of ``test_layers.py`` on small packages that satisfy or violate them."""

import pytest

from tests.helpers import layer_rules as rules
from tests.helpers.imports import Import, SourceTree

LAYERS = [{"top"}, {"left", "right"}, {"bottom"}]


@pytest.fixture
def write(tmp_path):
    """Write files, given by relative path, and return the tree of their top-level packages."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return SourceTree(tmp_path, sorted({name.split("/")[0] for name in files}))

    return make


def imported(tree, module="p.a"):
    return [use.imported for use in tree.imports if use.importer == module]


# ---- Imports -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "statement",
    [
        "import p.b",
        "import p.b as other",
        "from p import b",
        "from p import b as other",
        "from p.b import Name",
        "from . import b",
        "from .b import Name",
        "from .b import *",
        "def f():\n    from p.b import Name",
        "class C:\n    def f(self):\n        import p.b",
        "if True:\n    import p.b",
        "try:\n    import p.b\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('p.b')",
        "READERS = {'b': 'p.b'}",
    ],
)
def test_each_form_of_import_is_found(write, statement):
    tree = write({"p/__init__.py": "", "p/a.py": statement, "p/b.py": "Name = 1"})
    assert imported(tree) == ["p.b"]


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_for_type_checkers_do_not_count(write, test):
    text = f"if {test}:\n    from p.b import Name\nelse:\n    import p.c"
    tree = write({"p/a.py": text, "p/b.py": "", "p/c.py": ""})
    assert imported(tree) == ["p.c"]


def test_other_strings_and_external_packages_do_not_count(write):
    tree = write({"p/a.py": "import os, numpy.linalg\nFOLDERS = ['p', 'p.b.csv']", "p/b.py": ""})
    assert imported(tree) == []


def test_import_has_line_and_name(write):
    tree = write({"p/a.py": "import os\nfrom p.b import Name as N", "p/b.py": "Name = 1"})
    assert tree.imports == [Import("p.a", 2, "p.b", "Name")]


@pytest.mark.parametrize(
    "use",
    [
        "from p.b import Name",
        "from p.b import *",
        "from p import b\nb.Name",
        "import p.b\np.b.Name",
        "import p.b as other\nother.Name",
        "def f():\n    from p import b\n    return b.Name",
    ],
)
@pytest.mark.parametrize(
    "export",
    ["from q.d import Name", "from q.d import Other as Name", "from q import d\nName = d.Other"],
)
def test_re_exported_name_is_traced_to_defining_module(write, use, export):
    files = {"p/a.py": use, "p/b.py": export, "q/d.py": "Name = Other = 1"}
    assert set(imported(write(files))) == {"p.b", "q.d"}


def test_chains_of_re_exports_are_followed(write):
    files = {
        "p/a.py": "from p.b import Name", "p/b/__init__.py": "from p.b.c import Name",
        "p/b/c.py": "from q import Name", "q/__init__.py": "from .d import Name", "q/d.py": "",
    }  # fmt: skip
    assert set(imported(write(files))) == {"p.b", "p.b.c", "q", "q.d"}


def test_names_from_module_getattr_are_re_exports(write):
    text = "def __getattr__(name):\n    from p.c import Name\n    return Name"
    tree = write({"p/__init__.py": text, "p/a.py": "from p import Name", "p/c.py": ""})
    assert imported(tree) == ["p", "p.c"]


def test_imports_inside_functions_are_not_re_exports(write):
    files = {
        "p/a.py": "from p.b import Name", "p/c.py": "",
        "p/b.py": "Name = 1\ndef f():\n    from p.c import Name",
    }  # fmt: skip
    assert imported(write(files)) == ["p.b"]


def test_circular_re_exports_terminate(write):
    tree = write({"p/a.py": "from p.b import Name", "p/b.py": "from p.a import Name"})
    assert imported(tree) == ["p.b"]


def test_package_without_files_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="contains no Python file"):
        SourceTree(tmp_path, ["p"])


# ---- Cycles --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("import p.b", "import p.a"),
        ("from p import b", "def f():\n    from p import a"),
        ("def f():\n    import p.b", "def f():\n    from p.a import Name"),
    ],
)
def test_cycle_is_reported(write, a, b):
    tree = write({"p/__init__.py": "", "p/a.py": a, "p/b.py": b})
    assert rules.import_cycles(tree) == ["p.a → p.b → p.a"]


def test_cycle_through_re_export_is_reported(write):
    files = {
        "p/__init__.py": "from p.b import Name", "p/b.py": "from q import f",
        "q/__init__.py": "def f():\n    from p import Name",
    }  # fmt: skip
    assert rules.import_cycles(write(files)) == ["p.b → q → p.b"]


def test_one_shortest_cycle_is_reported_per_group(write):
    tree = write({
        "p/a.py": "import p.b", "p/b.py": "import p.c", "p/c.py": "import p.a, p.b",
        "q/a.py": "import q.b, p.a", "q/b.py": "import q.a",
    })  # fmt: skip
    assert rules.import_cycles(tree) == ["p.b → p.c → p.b", "q.a → q.b → q.a"]


def test_diamond_is_not_a_cycle(write):
    tree = write({
        "p/a.py": "import p.b, p.c", "p/b.py": "import p.d", "p/c.py": "import p.d", "p/d.py": "",
    })  # fmt: skip
    assert rules.import_cycles(tree) == []


# ---- Folders -------------------------------------------------------------------------------------
def test_files_are_counted_by_folder_without_init(write):
    names = ["p/__init__.py", "p/a.py", "p/q/__init__.py", "p/q/r/a.py", "p/q/r/b.py", "p/q/r/c.py"]
    tree = write(dict.fromkeys(names, ""))
    assert rules.files_by_folder(tree) == {"p": 1, "p/q": 0, "p/q/r": 3}
    assert rules.crowded_folders(tree, limit=3) == []
    assert rules.crowded_folders(tree, limit=2) == ["p/q/r: 3 Python files, at most 2 are allowed"]


# ---- Layers --------------------------------------------------------------------------------------
FOUR = {
    "p/__init__.py": "__version__ = '1'", "p/top.py": "", "p/left/a.py": "", "p/right/a.py": "",
    "p/bottom/a.py": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text", "imported"),
    [
        ("p/bottom/a.py", "import p.top", "p.top"),
        ("p/bottom/a.py", "def f():\n    from p.left import a", "p.left.a"),
        ("p/left/deep/er.py", "from p.right.a import Name", "p.right.a"),  # the same layer
        ("p/left/a.py", "from p import Entry", "p"),
    ],
)
def test_import_from_same_or_higher_layer_is_reported(write, file, text, imported):
    tree = write({**FOUR, file: text})
    line = 2 if "def" in text else 1
    assert rules.upward_imports(tree, "p", LAYERS) == [f"{file}:{line} imports {imported}"]


def test_re_exported_name_from_higher_layer_is_reported(write):
    tree = write(
        {**FOUR, "p/left/a.py": "from q import Name", "q/__init__.py": "from p.top import Name"}
    )
    assert rules.upward_imports(tree, "p", LAYERS) == ["p/left/a.py:1 imports p.top"]


def test_imports_from_lower_layers_and_own_package_are_allowed(write):
    tree = write({
        **FOUR, "p/__init__.py": "def __getattr__(name):\n    from p.top import Entry",
        "p/top.py": "import p.left.a, p.right.a, p.bottom.a\nfrom p import __version__",
        "p/left/a.py": "import p.left.b, p.bottom.a, q", "p/left/b.py": "", "q/__init__.py": "",
    })  # fmt: skip
    assert rules.upward_imports(tree, "p", LAYERS) == []


def test_differences_between_layers_and_package_are_reported(write):
    tree = write({**FOUR, "p/new.py": ""})
    layers = [*LAYERS, {"old"}]
    assert rules.upward_imports(tree, "p", layers) == [
        "p.new is not assigned to a layer",
        "p.old does not exist",
    ]


# ---- Allowed imports -----------------------------------------------------------------------------
def test_import_outside_allowed_files_is_reported(write):
    tree = write({
        "p/a.py": "import q.d", "p/ok.py": "import q.d", "p/run/deep/b.py": "import q.d",
        "p/run.py": "from p.a import d", "q/d.py": "", "qq/d.py": "import q.d",
    })  # fmt: skip
    found = rules.imports_outside(tree, of="q", by="p", allowed_files=["p/ok.py", "p/run/"])
    assert found == ["p/a.py:1 imports q.d"]


def test_re_exported_import_outside_allowed_files_is_reported(write):
    tree = write({
        "p/work.py": "from q.d import Summary", "p/a.py": "from p.work import Summary",
        "q/d.py": "",
    })  # fmt: skip
    found = rules.imports_outside(tree, of="q", by="p", allowed_files=["p/work.py"])
    assert found == ["p/a.py:1 imports q.d"]


def test_import_of_module_that_is_not_allowed_is_reported(write):
    tree = write({"q/a.py": "import p.scale, p.scales, p.fileio.x", "p/scale.py": "",
                  "p/scales.py": "", "p/fileio/x.py": ""})  # fmt: skip
    found = rules.imports_outside(tree, of="p", by="q", allowed=r"p\.(scale|fileio)(\..*)?")
    assert found == ["q/a.py:1 imports p.scales"]


def test_indirect_import_is_reported(write):
    tree = write({
        "p/train/a.py": "import p.mid", "p/mid.py": "def f():\n    import p.report.text",
        "p/report/text.py": "", "p/other.py": "import p.report.text", "p/train/b.py": "",
    })  # fmt: skip
    found = rules.indirect_imports(tree, of="p.report", by=["p.train"])
    assert found == ["p/train/a.py directly or indirectly imports p.report.text"]


def test_missing_allowed_file_is_reported(write):
    tree = write({"p/a.py": "", "p/b/c.py": ""})
    assert rules.missing_files(tree, ["p/a.py", "p/b/", "p/b", "p/d/"]) == ["p/b", "p/d/"]


# ---- Literals, arguments, prints -----------------------------------------------------------------
def test_string_literal_with_word_is_reported(write):
    text = (
        '"""On CORPUS."""\nNAME = "x"\n"""A CORPUS."""\n\ndef f(x: "CORPUS"):\n    "CORPUS"\n'
        '    return f"--data={x} of CORPUS" + "the CORPUS-2 corpus XCORPUS"\n'
    )
    tree = write({"p/a.py": text, "p/ok.py": "N = 'CORPUS'", "q/a.py": "N = 'CORPUS'"})
    found = rules.string_literals(tree, ["CORPUS", "OTHER"], package="p", allowed_files=["p/ok.py"])
    assert found == ["p/a.py:5 contains 'CORPUS'", "p/a.py:7 contains 'CORPUS'"]


def test_help_text_may_contain_but_not_equal_a_word(write):
    tree = write({"p/a.py": "HELP = 'for example CORPUS'\nif name == 'CORPUS': pass"})
    found = rules.string_literals(tree, ["CORPUS"], package="p", help_files=["p/a.py"])
    assert found == ["p/a.py:2 contains 'CORPUS'"]


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("import argparse", "argparse"),
        ("def f():\n    from argparse import ArgumentParser", "argparse"),
        ("import sys\nwords = sys.argv[1:]", "sys.argv"),
        ("from sys import argv", "sys.argv"),
        ("import getopt", "getopt"),
    ],
)
def test_argument_parsing_is_reported(write, text, used):
    tree = write({"p/a.py": text, "p/cli.py": text})
    (found,) = rules.argument_parsing(tree, allowed_files=["p/cli.py"])
    assert found.startswith("p/a.py:") and found.endswith(f" uses {used}")


def test_passing_arguments_to_a_function_is_allowed(write):
    main = "import sys\ndef run(words): ...\nif __name__ == '__main__':\n    run(sys.argv[1:])"
    assert rules.argument_parsing(write({"p/a.py": main}), allowed_files=[]) == []


def test_prints_are_reported(write):
    text = "import sys\ndef f():\n    print(1)\nsys.stderr.write('x')\nlogger.info('print(2)')"
    tree = write({"p/a.py": text, "p/console.py": text, "q/b.py": "import p.a"})
    assert rules.prints(tree, allowed_files=["p/console.py"]) == [
        "p/a.py:3 calls print",
        "p/a.py:4 calls sys.stderr.write",
    ]
