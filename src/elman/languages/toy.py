"""The course's ``toy`` grammar in its two versions, over words and over characters.

The leftmost nonterminal is rewritten by `random.choice` of its right-hand sides, all equally likely, until only words
remain. The grammar is ambiguous (in ``the cat ran while a dog ran quickly`` the adverb can belong to one or to both
clauses) and left-recursive, so its floor is an estimate.
"""

from elman.errors import LanguageError
from elman.languages.grammar import Grammar
from elman.languages.spelling import Spelled

RULES = {
    "_s": [
        "_s _adv",
        "_np _vp",
        "_np _vp _prep _np",
        "_np _vp ( _prep _np )",
        "_np _vp _con _s",
        "_np _vp ( _con _s )",
    ],
    "_adv": ["briefly", "quickly", "impatiently"],
    "_np": ["a _noun", "the _noun", "a _adj _noun", "the _adj _noun"],
    "_con": ["while", "but"],
    "_prep": ["on", "with", "to"],
    "_noun": ["mouse", "bunny", "cat", "dog", "man", "woman", "person"],
    "_vp": ["walked", "walks", "ran", "runs", "goes", "went"],
    "_adj": ["short", "quick", "busy", "nice", "gorgeous"],
}
ADDED_IN_2 = {
    "_prep": ["for", "at"],
    "_noun": ["bear", "koala", "judge", "businessman", "businesswoman", "lawyer", "teacher", "engineer"],
    "_vp": ["hiked"],
    "_adj": ["spectacular", "reluctant", "systematic", "willowy", "engaged", "synthetic"],
}


def toy_words(version: int = 1) -> Grammar:
    """Return ``toy`` over words. All right-hand sides of a nonterminal are equally likely.

    Examples: P(a cat ran) = 1/6 · (1/4 · 1/7) · 1/6 in version 1. ``the dog went ( but a quick mouse walks ) quickly``
    is a member; ``cat ran`` and ``a cat ran (`` are not.
    """
    if version not in (1, 2):
        raise LanguageError(f"{version} is not a version of toy.", "Use version 1 or 2.")
    added = ADDED_IN_2 if version == 2 else {}
    right_sides = {left: [*rights, *added.get(left, [])] for left, rights in RULES.items()}
    symbols = {symbol for rights in right_sides.values() for right in rights for symbol in right.split()}
    rules = {left: dict.fromkeys(rights, 1 / len(rights)) for left, rights in right_sides.items()}
    return Grammar(f"toy{'' if version == 1 else version}-words", sorted(symbols - set(rules)), "_s", rules)


def toy(version: int = 1) -> Spelled:
    """Return ``toy`` over characters: the same strings and probabilities, with blanks between the words."""
    return Spelled(toy_words(version), "toy" if version == 1 else f"toy{version}")
