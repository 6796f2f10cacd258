"""The project around the package: imports, pins, commands, and what is in the repository."""

import ast
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tools import pin

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "falcon_edu"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# === Imports run one way ===

# Each module may import those before it, and no others, not even inside a function.
ORDER = """
    old_paths warn
    storage.interrupts storage.strangers storage.drafts storage.files storage.hdf5
    fast.allocator int8.quantization support.layer_state int8.quantized int8.layers
    fast.products fast.packing
    model.layers model.positions model.config
    support.plain support.configs support.initializers support.losses
    scale.distribution scale.memory
    fast.gradients fast.dense fast.fused_attention fast.causal_attention
    support.exporting support.inputs support.steady support.datasets
    text.byte_level text.tokenizer_definition adapt.lora presets
    support.blocks support.backbones support.task
    generation.sampling generation.samplers generation.decoding generation.streaming
    support.causal_lms
    model.attention model.decoder model.backbone model.causal_lm
    text.preprocessing_layer text.tokenizer text.preprocessor text.special_tokens
    inside.activations inside.heads inside.patterns inside.interventions
    inside.weights inside.attribution inside.circuits inside.paths inside.probes inside.steering
    inside.autoencoders inside.features inside.milestones
    corpora evaluation plots web widgets
    course.checks course.own_name course.own_text course.predictions course.source
    course.your_falcon course.notebooks course.classroom course.doctor __main__
""".split()
ROOMS = {name.partition(".")[0] for name in ORDER if "." in name}

# A task names the class that reads text for it, once somebody asks.
LATE = {("support.causal_lms", "text.preprocessor")}

# These know only this much of the world outside the standard library.
KNOWS_ONLY = {
    "model.config": set(),
    "corpora": set(),
    "plots": {"numpy", "matplotlib"},
}

MOST_LINES = 750

# These are known only here.
KNOWN_ONLY_TO = {
    "anywidget": {"widgets"},
    "ipywidgets": {"widgets", "course.predictions"},
    "IPython": {"widgets", "course.classroom", "course.predictions"},
    "matplotlib": {"plots", "widgets", "course.classroom"},
    "huggingface_hub": {"presets"},
    "kagglehub": {"presets"},
    "nbgrader": {"course.classroom"},
}


def imported_names(source):
    """Every dotted name that a module imports, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_the_order(parts):
    """The module of ORDER that a path in the package belongs to; a sub-package is one."""
    return ".".join(parts[:2] if parts[0] in ROOMS else parts[:1])


def wrong_imports(module, source):
    """What a module of the package imports and should not."""
    for name in imported_names(source):
        top, _, rest = name.partition(".")
        inner = of_the_order(rest.split("."))
        if top == "falcon_edu":
            if (module, inner) not in LATE and inner not in ORDER[: ORDER.index(module) + 1]:
                yield f"{module} imports {name}, which does not come before it"
        elif top not in sys.stdlib_module_names:
            if top not in KNOWS_ONLY.get(module, {top}):
                yield f"{module} imports {top}"
            if module not in KNOWN_ONLY_TO.get(top, {module}):
                yield f"{module} imports {top}, which only {KNOWN_ONLY_TO[top]} may"


def sources():
    """The files of the package, with the module that each belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = of_the_order(path.relative_to(PACKAGE).with_suffix("").parts)
        if not module.endswith("__init__"):
            yield pytest.param(module, path, id=str(path.relative_to(PACKAGE)))


@pytest.mark.parametrize(("module", "path"), list(sources()))
def test_imports_run_one_way(module, path):
    assert module in ORDER, f"give {module} its place in ORDER"
    assert list(wrong_imports(module, path.read_text())) == []


LESSON = sorted((PACKAGE / "model").glob("*.py"))


@pytest.mark.parametrize("path", LESSON, ids=lambda path: path.stem)
def test_the_lesson_imports_keras_and_itself(path):
    names = set(imported_names(path.read_text())) - {"falcon_edu.fast"}
    outside = {n for n in names if not n.startswith("falcon_edu.model.")}
    assert {n.partition(".")[0] for n in outside} <= {"keras", "numpy", *sys.stdlib_module_names}


def test_the_lesson_names_fast_in_one_line():
    lines = [line for path in LESSON for line in path.read_text().splitlines()]
    assert len([line for line in lines if "falcon_edu.fast" in line and "import" in line]) == 1


def test_the_lesson_says_no_word_about_speed_or_packing():
    told = "".join(path.read_text() for path in LESSON).replace("falcon_edu.fast", "")
    words = r"(?i)\b(?:fast|quick|soon|slow|speed|eight|int8|pack)(?:er|ly|ed|s)?\b"
    assert re.findall(words, told) == []


def test_the_lesson_is_short():
    assert sum(len(path.read_text().splitlines()) for path in LESSON) <= MOST_LINES
    for name, method in (("attention", "call"), ("decoder", "call")):
        tree = ast.parse((PACKAGE / "model" / f"{name}.py").read_text())
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        (call,) = [f for f in functions if f.name == method]
        assert call.end_lineno - call.body[0].lineno < 25


def test_the_lesson_runs_by_itself_and_computes_the_same(tmp_path):
    """Its files alone, on Keras's own layers: nothing of the package is beside them."""
    alone = tmp_path / "falcon_edu"
    shutil.copytree(PACKAGE / "model", alone / "model", ignore=shutil.ignore_patterns("__*"))
    (alone / "__init__.py").touch()
    code = """if True:
        import sys, numpy as np
        from falcon_edu.model.causal_lm import FalconBackbone, FalconCausalLM
        model = FalconCausalLM(FalconBackbone(20, 2, 4, 16, 32, num_key_value_heads=2))
        for i, variable in enumerate(model.backbone.weights):
            variable.assign(np.random.default_rng(i).normal(size=variable.shape))
        ids = np.arange(12).reshape(2, 6)
        mask = np.arange(6) < [[6], [4]]
        np.save(sys.argv[1], model({"token_ids": ids, "padding_mask": mask.astype("int32")}))
    """
    logits = []
    for folder in (tmp_path, ROOT):
        environment = {**os.environ, "PYTHONPATH": str(folder), "KERAS_BACKEND": "jax"}
        command = [sys.executable, "-c", code, str(tmp_path / "logits.npy")]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        logits.append(np.load(tmp_path / "logits.npy"))
    np.testing.assert_allclose(*logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("model.attention", "from falcon_edu.model.backbone import FalconBackbone"),
        ("model.attention", "def late():\n    from falcon_edu import causal_lm"),
        ("model.positions", "import falcon_edu.model.decoder"),
        ("presets", "from falcon_edu.model.backbone import Backbone"),
        ("course.checks", "from falcon_edu import record"),
        ("plots", "import keras"),
        ("corpora", "from jax import numpy"),
        ("model.backbone", "import huggingface_hub"),
        ("inside.activations", "from ipywidgets import HTML"),
    ],
)
def test_wrong_imports_are_seen(module, source):
    assert len(list(wrong_imports(module, source))) == 1


def test_imports_are_declared():
    """Each package that ours imports is asked for in `pyproject.toml`, not merely present."""
    used = {
        name.partition(".")[0]
        for path in PACKAGE.rglob("*.py")
        for name in imported_names(path.read_text())
    }
    declared = {r.name for extra in ("lab", "kaggle", "classroom") for r in pin.requirements(extra)}
    come_with_those = {"IPython", "jaxlib", "ml_dtypes", "nbclient", "nbformat", "traitlets"}
    assert used - sys.stdlib_module_names - declared - come_with_those <= {"falcon_edu"}


# === Versions ===


def test_version_is_in_one_place():
    import falcon_edu

    assert falcon_edu.__version__ == PROJECT["version"]
    assert importlib.metadata.version("falcon_edu") == PROJECT["version"]
    written = [path for path in PACKAGE.rglob("*.py") if PROJECT["version"] in path.read_text()]
    assert written == []
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", ["environment.yml", "binder/environment.yml"])
def test_environments_follow_from_the_pins(path):
    assert (ROOT / path).read_text() == pin.environments()[path], "python tools/pin.py environments"


@pytest.mark.parametrize(
    ("file", "extra"),
    [
        ("constraints.txt", "lab"),
        ("constraints.txt", "test"),
        ("constraints.txt", "classroom"),
        ("constraints-peers.txt", "test"),
        ("constraints-peers.txt", "peers"),
        ("constraints-site.txt", "site"),
    ],
)
def test_pins_are_within_the_bounds(file, extra):
    pins = {}
    for block in pin.read_pins(ROOT / file).values():
        pins.update(block)
    for requirement in pin.requirements(extra):
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_pins_install_on_the_first_release_of_the_oldest_python():
    """Debian 12 has Python 3.11.2, and a pin for 3.11.5 would stop `make lab` there."""
    (oldest,) = [s.version for s in SpecifierSet(PROJECT["requires-python"]) if s.operator == ">="]
    pinned = {n for block in pin.read_pins(ROOT / "constraints.txt").values() for n in block}
    asked = {
        name: importlib.metadata.metadata(name).get("Requires-Python") or ""
        for name in {canonicalize_name(d.name) for d in importlib.metadata.distributions()} & pinned
    }
    assert len(asked) > 100
    assert {n: s for n, s in asked.items() if not SpecifierSet(s).contains(f"{oldest}.0")} == {}


# === Words and commands ===


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_make_lab_says_what_it_does_and_starts_without_a_complaint(tmp_path):
    """The first time it installs for a minute; the last words are not of language servers."""
    command = ["make", "-n", "lab", f"VENV={tmp_path}"]
    # Inside `make unit`, make would hand its own settings down, and say where it is.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    options = {"cwd": ROOT, "capture_output": True, "text": True, "check": True, "env": env}
    lines = subprocess.run(command, **options).stdout.splitlines()
    assert "about a minute" in lines[0]
    (install,) = [line for line in lines if "pip install" in line]
    assert not re.search(r"\s(-q|--quiet)\b", install)
    assert "LanguageServerManager.autodetect=False" in next(x for x in lines if "jupyter lab" in x)


def test_readme_lists_every_notebook():
    listed = re.findall(r"\]\((notebooks/[\w/]+\.ipynb)\)", (ROOT / "README.md").read_text())
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert sorted(set(listed)) == sorted(there)


@pytest.mark.parametrize(
    "page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    assert [to for to in links if "://" not in to and not (ROOT / to).exists()] == []


def test_the_walks_name_files_that_are_there():
    named = re.findall(r"`(\w+/\w+\.py)`", (ROOT / "ARCHITECTURE.md").read_text())
    assert len(set(named)) > 40
    assert [n for n in named if not ((PACKAGE / n).exists() or (ROOT / n).exists())] == []


@pytest.mark.slow
def test_code_of_the_readme_runs(capsys):
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(code, {})
    assert capsys.readouterr().out


# === The repository ===

ELSEWHERE = re.compile(
    r"pypi\.(?:org|python)|pythonhosted\.org|npmjs\.org|deb\.debian\.org|anaconda\.org"
    r"|download\.pytorch\.org|/[w]ork/(?:main|shared)|/[r]oot/|/opt/(?:wheels|pypi)"
)


def repository():
    """The files of the repository: tracked, or about to be."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for name in listed.split("\0") if (path := ROOT / name).is_file()]


def test_no_file_is_large():
    assert [path for path in repository() if path.stat().st_size > 6_000_000] == []


def test_no_file_names_a_registry_or_a_path_of_a_machine():
    found = []
    for path in repository():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match}" for match in ELSEWHERE.findall(text)]
    assert found == []


@pytest.mark.parametrize(
    "text", ["https://pypi" + ".org/simple", "/work" + "/main/x", "/ro" + "ot/x"]
)
def test_such_names_are_seen(text):
    assert ELSEWHERE.search(text)


def test_no_test_file_swaps_keras_layers_when_it_is_imported():
    """Pytest imports every file of `tests` for its examples, plugins too."""
    import falcon_edu  # noqa: F401 (chooses Keras's backend)

    import keras

    importlib.import_module("tests.peers.swapped_layers")
    for name in ("Dense", "EinsumDense", "ReversibleEmbedding", "LayerNormalization"):
        assert getattr(keras.layers, name).__module__.startswith("keras.")
        assert getattr(keras.src.layers, name).__module__.startswith("keras.")


@pytest.mark.parametrize(
    "module", ["support.backbones", "int8.layers", "fast.products", "fast", "model.layers"]
)
def test_a_room_opens_whichever_of_them_is_the_first(module):
    """Model, base classes and fast parts need each other, though no file needs itself."""
    code = f"import falcon_edu.{module}; from falcon_edu import FalconBackbone; print('open')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "open\n", run.stderr


ROOMS_READ = ("falcon_edu", "tools", "benchmarks")
QUESTIONS = "What Whether How Where When Which Who".split()  # no class begins so, either
NO_VERBS = [*QUESTIONS, *"The A An That This These It Its As".split()]


def test_docstrings_begin_with_a_verb_or_are_predicates():
    """In the imperative; ruff alone knows too few verbs, and lets "Draws" pass."""
    command = "ruff check --isolated --select D401 --output-format json falcon_edu tools benchmarks"
    run = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    places = {(Path(f["filename"]), f["location"]["row"]) for f in json.loads(run.stdout)}
    for path in (found for room in ROOMS_READ for found in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and not is_property(node) and (text := ast.get_docstring(node)):
                first = text.split()[0]
                if first in NO_VERBS or re.search(r"[^s]s$", first):
                    places.add((path, node.body[0].lineno))
            is_class = isinstance(node, ast.ClassDef)
            if is_class and (ast.get_docstring(node) or "A class").split()[0] in QUESTIONS:
                places.add((path, node.body[0].lineno))
    lines = {place: place[0].read_text().splitlines()[place[1] - 1].strip() for place in places}
    others = [(*place, line) for place, line in lines.items() if not line.startswith('"""True if')]
    assert others == []


def is_property(function):
    """True if a function stands for what it returns."""
    return any("property" in ast.dump(decorator) for decorator in function.decorator_list)
