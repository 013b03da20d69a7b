"""The text of a question: Markdown in which ``{{ steps.NAME.figures.… }}`` inserts a figure of a result file."""

from typing import Any

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment

from elman.errors import ConfigError
from elman.formatting import FILTERS

NOT_MEASURED = "(not measured)"


def filled(text: str, results: dict[str, Any]) -> str:
    """Fill the figures into the text of a question; a missing figure becomes "(not measured)".

    Raises
    ------
    ConfigError
        The text is not a valid template, or applies a format to a figure of another type.
    """

    class Missing(ChainableUndefined):
        def __str__(self) -> str:
            return NOT_MEASURED

    environment = SandboxedEnvironment(undefined=Missing)
    environment.filters |= {name: _or_missing(write, Missing) for name, write in {**FILTERS, "length": len}.items()}
    try:
        return environment.from_string(text).render(steps=results).strip()
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"The figures in {text.strip()!r} cannot be filled in ({error}).",
            "Write steps['NAME'] if a name has a dash. See docs/study.md for the figures and the formats.",
        ) from error


def steps_in(text: str) -> set[str]:
    """Return the names of the steps whose figures the text of a question uses."""
    tree, steps = SandboxedEnvironment().parse(text), nodes.Name("steps", "load")
    dotted = {node.attr for node in tree.find_all(nodes.Getattr) if node.node == steps}
    keys = [node.arg for node in tree.find_all(nodes.Getitem) if node.node == steps]
    return dotted | {str(key.value) for key in keys if isinstance(key, nodes.Const)}


def _or_missing(write: Any, missing: type) -> Any:
    return lambda value, *arguments: value if isinstance(value, missing) else write(value, *arguments)
