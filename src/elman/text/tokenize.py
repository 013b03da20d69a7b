"""Split text into tokens, at one of two levels: words or characters.

The words are those of the course (Bloem, Deep Learning, Vrije Universiteit Amsterdam): lower case, with each ``<br />``
and every character other than a–z replaced by a space. There is no stemming and no list of stop words.
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
    """Split ``text`` as :func:`words` does, into ASCII bytes, which are faster to count."""
    lowered = text.lower().replace("<br />", " ")
    return lowered.encode("ascii", "replace").translate(_LETTERS).split()


def characters(text: str) -> str:
    """Replace each ``<br />`` in ``text`` by a newline; every character of the result is a token.

    >>> characters("It's GREAT!<br />Don't")
    "It's GREAT!\\nDon't"
    """
    return _LINE_BREAK.sub("\n", text)


def tokens_of(text: str, level: Level) -> list[str]:
    """Return the tokens of a text: its words, or its characters."""
    return words(text) if level == "word" else list(characters(text))


def text_of(tokens: list[str], level: Level) -> str:
    """Join tokens into text: words with a space between them, characters without."""
    return (" " if level == "word" else "").join(tokens)
