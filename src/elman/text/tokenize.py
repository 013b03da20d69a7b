"""Text to tokens, at two levels: words and characters.

The words are those of the course (Bloem, Deep Learning, Vrije Universiteit Amsterdam): lower case, each ``<br />`` a
space, every other character but a–z a space. Nothing is stemmed and nothing is left out.
"""

import re

from elman.config import Level

_LETTERS = bytes(c if 97 <= c <= 122 else 32 for c in range(256))  # 97–122 are a–z, 32 the space
_LINE_BREAK = re.compile(r"<br\s*/?>")


def words(text: str) -> list[str]:
    """Split ``text`` into lower-case words of the letters a–z.

    >>> words("It's GREAT!<br />Don't miss it")
    ['it', 's', 'great', 'don', 't', 'miss', 'it']
    """
    return [word.decode("ascii") for word in word_bytes(text)]


def word_bytes(text: str) -> list[bytes]:
    """The same as :func:`words`, as ASCII bytes: what a fast reader of a hundred thousand reviews counts."""
    lowered = text.lower().replace("<br />", " ")
    return lowered.encode("ascii", "replace").translate(_LETTERS).split()


def characters(text: str) -> str:
    """Return ``text`` with each ``<br />`` a line's end and nothing else changed: one token a character.

    >>> characters("It's GREAT!<br />Don't")
    "It's GREAT!\\nDon't"
    """
    return _LINE_BREAK.sub("\n", text)


def tokens_of(text: str, level: Level) -> list[str]:
    """Return the tokens of a text: its words, or its characters."""
    return words(text) if level == "word" else list(characters(text))


def text_of(tokens: list[str], level: Level) -> str:
    """Return tokens as a line of text: words with blanks between, characters side by side."""
    return (" " if level == "word" else "").join(tokens)
