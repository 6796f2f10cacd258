"""The tales: stories of an open world whose ground truth and exact probability are known.

`tales` draws them, `log_prob` and `next_words` say what the grammar knows, `sentences_told` judges
how any text goes on, `minimal_pairs` are for patching, `questions` asks about tales, `to_captain`
retells a tale in a second voice. How tales come about: `tellers.py` and `grammar.py`. What they
say: `patterns.py`, in the notation of `notation.py`, with the words and names of `words.py` and
`names.py`.
"""

from falcon_edu.corpora.asking import QUESTION_KINDS, Question, questions
from falcon_edu.corpora.captain import from_captain, to_captain, voice_share
from falcon_edu.corpora.drawing import SPLITS, VOICES, Fact, Tale, tale_stream, tales
from falcon_edu.corpora.judging import Sentence, names_in, sentences_told
from falcon_edu.corpora.names import FAMILIAR_NAMES, HELD_OUT_NAMES, NAMES
from falcon_edu.corpora.pairs import MinimalPair, minimal_pairs
from falcon_edu.corpora.reading import log_prob, next_words
from falcon_edu.corpora.words import CONTENT_WORDS, LISTS

__all__ = [
    "CONTENT_WORDS",
    "FAMILIAR_NAMES",
    "HELD_OUT_NAMES",
    "LISTS",
    "NAMES",
    "QUESTION_KINDS",
    "SPLITS",
    "VOICES",
    "Fact",
    "MinimalPair",
    "Question",
    "Sentence",
    "Tale",
    "from_captain",
    "log_prob",
    "minimal_pairs",
    "names_in",
    "next_words",
    "questions",
    "sentences_told",
    "tale_stream",
    "tales",
    "to_captain",
    "voice_share",
]
