"""The page of KerasHub's names says what is: each public name, and whether it is here."""

import inspect
import re
from pathlib import Path

from falcon_edu import Backbone, FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.small_tokenizers import make

import pytest

pytestmark = pytest.mark.peers

PAGE = Path(__file__).resolve().parents[2] / "docs/kerashub.md"
OURS = {
    cls.__name__: cls
    for cls in (
        Backbone,
        FalconBackbone,
        FalconTokenizer,
        FalconCausalLMPreprocessor,
        FalconCausalLM,
    )
}
ROW = re.compile(r"\| `(\w+)` \| (yes|no|differs) \| (.*?) ?\|$")


def table(name):
    """The rows of a class: name to what stands there, and the note."""
    section = PAGE.read_text("utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    rows = [ROW.match(line).groups() for line in section.splitlines() if line.startswith("| `")]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def theirs(name):
    import keras_hub

    return getattr(keras_hub.models, name)


def public_names(cls):
    """What KerasHub itself gives a class; the rest is Keras's."""
    own = [vars(c) for c in cls.__mro__ if c.__module__.startswith("keras_hub")]
    return {n for names in own for n in names if not n.startswith("_")} | {"__init__"}


def instance(name):
    tokenizer = make()
    backbone = FalconBackbone(tokenizer.vocabulary_size(), 1, 2, 8, 16)
    preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=8)
    return {
        "Backbone": backbone,
        "FalconBackbone": backbone,
        "FalconTokenizer": tokenizer,
        "FalconCausalLMPreprocessor": preprocessor,
        "FalconCausalLM": FalconCausalLM(backbone, preprocessor),
    }[name]


def parameters(cls, name):
    """The arguments of a method by name, and whether it takes any others; `None` for no method."""
    found = inspect.getattr_static(cls, name, None)
    found = getattr(found, "__func__", found)
    if not inspect.isfunction(found):
        return None
    arguments = [p for p in inspect.signature(found).parameters.values() if p.name != "self"]
    named = [p.name for p in arguments if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return [n for n in named if n != "cls"], any(p.kind == p.VAR_KEYWORD for p in arguments)


@pytest.mark.parametrize("name", OURS)
def test_the_page_has_every_public_name_of_keras_hub(name):
    assert table(name).keys() == public_names(theirs(name))


@pytest.mark.parametrize("name", OURS)
def test_what_the_page_says_is_here_is_here(name):
    thing = instance(name)
    for attribute, (here, note) in table(name).items():
        if here == "no":
            assert attribute not in public_names_of_ours(OURS[name]), attribute
        else:
            assert hasattr(thing, attribute), attribute
        assert note or here == "yes", attribute


def public_names_of_ours(cls):
    return {n for c in cls.__mro__ if c.__module__.startswith("falcon_edu") for n in vars(c)}


@pytest.mark.parametrize("name", OURS)
def test_what_the_page_calls_the_same_takes_the_same_arguments(name):
    for attribute, (here, _) in table(name).items():
        expected = parameters(theirs(name), attribute)
        if here != "yes" or expected is None:
            continue
        given = parameters(OURS[name], attribute)
        if given is None:
            continue
        assert set(expected[0]) <= set(given[0]) or given[1], attribute
        same = [argument for argument in given[0] if argument in expected[0]]
        assert same == [argument for argument in expected[0] if argument in given[0]], attribute
        assert given[1] or not expected[1], attribute
