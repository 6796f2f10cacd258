"""What type checkers are told: the stub of the public names, and the annotations behind it."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import falcon_edu

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUB = ast.parse((ROOT / "falcon_edu" / "__init__.pyi").read_text())


def imports_of_the_stub():
    """Each name of the stub, with the module that it comes from and its name there."""
    for node in STUB.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, node.module, alias.name


def of_module(module, name):
    """A name of a module, or a module inside it."""
    return getattr(import_module(module), name, None) or import_module(f"{module}.{name}")


def test_the_stub_names_what_the_package_gives():
    told = {name: of_module(module, inner) for name, module, inner in imports_of_the_stub()}
    assert set(told) >= set(falcon_edu.__all__)
    assert [n for n, value in told.items() if getattr(falcon_edu, n) is not value] == []
    (listed,) = [n.value for n in STUB.body if isinstance(n, ast.Assign)]
    assert set(ast.literal_eval(listed)) == set(told)


def public_functions():
    """Every public function, and every public method of a public class that is ours."""
    for name in falcon_edu.__all__:
        value = getattr(falcon_edu, name)
        if inspect.isfunction(value):
            yield name, value
        for method in dir(value) if inspect.isclass(value) else ():
            found = inspect.getattr_static(value, method)
            found = getattr(found, "__func__", found)
            if not inspect.isfunction(found) or not found.__module__.startswith("falcon_edu."):
                continue
            is_explorers = found.__module__.startswith("falcon_edu.widgets.")
            # What an explorer has besides its constructor is for itself.
            if method == "__init__" or not (method.startswith("_") or is_explorers):
                yield f"{name}.{method}", found


def test_every_public_function_says_what_it_returns():
    """A program that mypy checks strictly can't call a function without any annotation."""
    silent = [name for name, function in public_functions() if not function.__annotations__]
    assert silent == []


PROGRAM = """
from falcon_edu import FalconBackbone, FalconCausalLM, GreedySampler, logit_lens, record

backbone = FalconBackbone(10, 2, 2, 32, 128)
backbone.enable_lora(4)
falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
falcon.compile(sampler=GreedySampler())
for piece in falcon.stream("Once"):
    print(piece.upper())
activations = record(falcon, ["Once", "upon"])
print(logit_lens(falcon, activations).shape, FalconBackbone.from_preset("x").num_layers)
"""
WRONG = {
    'FalconBackbone("10", 2, 2, 32, 128)': "arg-type",
    "falcon.save_to_preset(3)": "arg-type",
    "record(falcon, 3)": "arg-type",
    'record(falcon, "x").attention': "attr-defined",
    'backbone.enable_lora("4")': "arg-type",
}


@pytest.mark.slow
def test_mypy_takes_a_program_and_finds_wrong_arguments(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM + "\n".join(WRONG) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    run = subprocess.run([*command, *config, path], cwd=ROOT, capture_output=True, text=True)
    errors = [line for line in run.stdout.splitlines() if line.startswith(f"{path}:")]
    found = {int(line.split(":")[1]): line for line in errors}
    first = len(PROGRAM.splitlines()) + 1
    assert sorted(found) == list(range(first, first + len(WRONG))), run.stdout
    for line, kind in zip(sorted(found), WRONG.values(), strict=True):
        assert f"[{kind}]" in found[line]
