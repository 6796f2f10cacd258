"""Write words in their forms: with an article, in the plural; pronouns and numbers."""

import re
from functools import cache

from falcon_edu.corpora import words

FORMS = ("he", "him", "his", "He", "His", "himself")
PRONOUNS = {
    "she": dict(zip(FORMS, ("she", "her", "her", "She", "Her", "herself"), strict=True)),
    "he": dict(zip(FORMS, ("he", "him", "his", "He", "His", "himself"), strict=True)),
}
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@cache
def article(noun):
    """Return a word with its indefinite article.

    >>> article("owl"), article("unicorn"), article("hour")
    ('an owl', 'a unicorn', 'an hour')
    """
    vowel = noun[0] in "aeiouAEIOU" and not re.match("uni|use|eu|one|ufo", noun)
    return f"{'an' if vowel or re.match('hour|honest|heir', noun) else 'a'} {noun}"


def plural(noun):
    """Return the plural of a regular noun, or of one in `words.PLURALS`.

    >>> plural("fox"), plural("cherry"), plural("toy"), plural("mouse")
    ('foxes', 'cherries', 'toys', 'mice')
    """
    if noun in words.PLURALS:
        return words.PLURALS[noun]
    if re.search("(s|x|z|ch|sh)$", noun):
        return noun + "es"
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"
