"""Turn a pattern, a line of text with slots in it, into steps that a teller can take.

Braces hold what varies, brackets choose, and angle brackets keep words to be said again:

    {A} {B} {C}      new people; {A=she} where the text tells the pronoun ("a girl named {A=she}")
    {a} {b} {c}      different people who are here; {a.he} {a.him} {a.his} {a.He} their pronouns
    {N} {M}          new things, as in "an old red kite"; {n} {m} again, {n.color} the color
    {I}              a new thing whose name nobody knows ("glorm"); {i} says it again
    {g} {o} {r} {u}  somebody who holds a thing, and it; another, and what that one holds
    {P} {p} {p.at}   a new place, the place, "by the river"
    {X} {W} {F}      who goes away, where to, for what; {x} {w} {f} say them again
    {Y} {Z}          a new pet's name and its kind; {y} {z}
    {l} {l.spot}     the thing that was put down, and where
    {food} {food2}   two words from the list of that name; {food.a} with an article, {food.s} plural
    {food'}          with a capital letter
    {S:food:3-6}     so many words of a list: "bread, tea and jam"; {S:food:3-6,} without "and",
                     {S:food:3-6_} without commas either
    {#3-6} {#-1} {#} a number from three to six; one less; the same again
    {o>b} {o>spot} {o>} {x<}  say nothing: b has o now; o was put down; o is gone; x is back
    {b:receiver} {x:-}        name the kind of fact that a forced word is; report none
    [very|so|]       one of these, or nothing
    <k:some words>   remember these words as k; <k> says them again

Within a pattern the first mention of a slot draws and later ones repeat it, except that the lists
in `ANEW` always draw. Slots in capitals, and what `<K:...>` remembers, keep their meaning through
the tale.
"""

import re

from falcon_edu.corpora import slots
from falcon_edu.corpora.forms import FORMS
from falcon_edu.corpora.steps import Again, Begin, Change, End, Say, equal

# The kind of fact that a forced word is: its form may tell, else what its slot stands for.
KINDS_OF_FORMS = {**dict.fromkeys(FORMS, "pronoun"), "color": "color", "spot": "place"}
KINDS_OF_SLOTS = {
    **dict.fromkeys("abcgrxyABC", "name"),
    **dict.fromkeys("onmiul", "object"),
    **dict.fromkeys("pw", "place"),
    "color": "color",
    "#": "count",
}
_BARE = ("{then}", "{but}")
_PIECE = re.compile(r"\{[^}]*\}|<\w+:|<\w+>|[\[\]|>]|[^{}\[\]|<>]+")


def compile_pattern(text, space):
    """Return the steps of a pattern.

    Args:
        text: the pattern, in the notation above.
        space: what separates it from the words before it.

    Raises:
        ValueError: a slot is unknown, or a bracket is missing.
    """
    pieces = _PIECE.findall(text)[::-1]
    steps, _ = _compile(pieces, space, may_report=False)
    if pieces:
        raise ValueError(f"a bracket too many in {text!r}")
    return steps


def _compile(pieces, space, may_report):
    """Return steps for the pieces (the next one is last) up to the end of the branch, and a space.

    A space goes with the word after it, so that each step says whole words. The first slot of a
    branch is no fact, even if it has one candidate: other branches and patterns could come there.
    """
    steps: list = []
    while pieces and pieces[-1] not in ("|", "]", ">"):
        piece = pieces.pop()
        if piece == "[":
            branches: list[list] = []
            ends = set()
            while not branches or pieces.pop() == "|":
                branch, end = _compile(pieces, space, may_report=False)
                branches.append(branch)
                ends.add(end)
            steps.append(equal(branches))
            space = ends.pop() if len(ends) == 1 else ""
        elif piece[0] == "<" and piece[-1] == ":":
            # The space before the words is said before they begin, or it would be remembered too.
            inner, end = _compile(pieces, "", may_report)
            pieces.pop()
            steps += [
                *([Say(space)] if space else []),
                Begin(piece[1:-1]),
                *inner,
                End(piece[1:-1]),
            ]
            space, may_report = end, True
        elif piece[0] == "<":
            steps.append(Again(space, piece[1:-1]))
            space, may_report = "", True
        elif piece[0] != "{":
            said = (space + piece).rstrip(" ")
            space = " " if piece.endswith(" ") else ""
            if said:
                steps.append(Say(said))
                may_report = True
            elif piece.strip() == "" and not said:
                space = " "
        elif match := re.fullmatch(r"\{(\w)([><])(\w*)\}", piece):
            steps.append(Change(_effect(*match.groups())))
        else:
            steps += _slot(piece, space, may_report)
            space = ""
            may_report = may_report or piece not in _BARE
    return steps, space


def _effect(what, sign, whom):
    def apply(world):
        if sign == "<":
            return world.come_back()
        thing = world.lookup(what) if what != "l" else world.lying[0]
        if whom == "spot":
            return world.put_down(thing, world.bound["spot"])
        return world.give(thing, world.bound[whom] if whom else None)

    return apply


def _slot(piece, space, may_report):
    slot, _, kind = piece[1:-1].partition(":")
    if slot == "S":
        return [slots.several_words(kind, space)]
    capital = piece.endswith("'}")
    slot, _, pronoun = slot.removesuffix("'").partition("=")
    slot, _, form = slot.partition(".")
    form = form.removesuffix("'")
    kind = (
        kind.removesuffix("'")
        or KINDS_OF_FORMS.get(form)
        or KINDS_OF_SLOTS.get(slot[0] if slot[0] == "#" else slot, "word")
    )
    kind = kind if may_report and kind != "-" else None
    if slot[0] == "#":
        return [slots.number(slot[1:], space, kind, capital)]
    if slot in ("N", "M"):
        return [slots.new_thing(slot, space)]
    if form in FORMS:
        return [slots.pronoun(slot, form, space, kind)]
    if slot in ("A", "B", "C"):
        return [slots.person(slot, space, kind, pronoun)]
    return [slots.word(slot, form, space, kind, capital)]
