"""Pictures of languages: the states and arcs of an automaton, or the rules of a grammar with their probabilities."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
from matplotlib.figure import Figure

from elman.errors import LanguageError
from elman.languages import Language
from elman.languages.grammar import Grammar
from elman.languages.machine import Machine
from elman.languages.spelling import Spelled
from elman.report.plotting import COLORS, save_svg

MAX_STATES = 16
"""Maximal number of states drawn; a larger automaton, for instance a counter, shows those nearest to the start."""

NODE_SIZE = 1_400


def draw(law: Language, path: Path) -> None:
    """Write the picture of a language as SVG.

    Raises
    ------
    LanguageError
        The language is neither an automaton nor a grammar.
    """
    if isinstance(law, Spelled):
        law = law.words
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar sign is an ordinary symbol
        if isinstance(law, Machine):
            _draw_machine(law, path)
        elif isinstance(law, Grammar):
            _draw_grammar(law, path)
        else:
            raise LanguageError(
                f"{law.name} has neither an automaton nor a grammar to draw.",
                "Draw the language without a length limit.",
            )


def _draw_machine(law: Machine[Any], path: Path) -> None:
    levels, cut = _levels(law)
    graph = nx.DiGraph()
    graph.add_nodes_from(levels)
    labels: dict[tuple[Any, Any], list[str]] = defaultdict(list)
    for state in levels:
        for arc in law.arcs(state):
            if arc.target in levels:
                graph.add_edge(state, arc.target)
                labels[state, arc.target].append(f"{_visible(arc.symbol)} {arc.probability:.3g}")
    wide, high = max(levels.values()) + 1, max(Counter(levels.values()).values())
    figure = Figure(figsize=(1.5 * wide + 2, 1.2 * high + 1.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.margins(0.5 / (wide + 1), 0.5 / (high + 1))
    places = _places(graph, levels)
    curve = "arc3,rad=0.2"
    edges = [COLORS[3] if state == law.start else "black" for state in graph.nodes]
    nx.draw_networkx_nodes(
        graph, places, ax=axes, node_color="white", edgecolors=edges, node_size=NODE_SIZE, linewidths=1.5
    )
    names = {state: _state_name(state) + _stops(law.stop(state)) for state in graph.nodes}
    nx.draw_networkx_labels(graph, places, names, ax=axes, font_size=8)
    nx.draw_networkx_edges(graph, places, ax=axes, node_size=NODE_SIZE, connectionstyle=curve, arrowsize=12)
    texts = {edge: "\n".join(lines) for edge, lines in labels.items() if edge[0] != edge[1]}
    for state in levels:
        if (state, state) in labels:  # inside the loop, above the state
            inside = "\n".join(labels[state, state])
            axes.annotate(inside, places[state], (0, 32), textcoords="offset points", ha="center", fontsize=8)
    nx.draw_networkx_edge_labels(
        graph, places, texts, ax=axes, font_size=8, connectionstyle=curve, rotate=False, label_pos=0.4
    )
    note = f"\nonly the {MAX_STATES} states nearest to the start" if cut else ""
    title = f"{law.name}: the start is orange; the second line of a state is its probability of stopping{note}"
    axes.set_title(title, fontsize=9)
    save_svg(figure, path)


def _levels(law: Machine[Any]) -> tuple[dict[Any, int], bool]:
    """Return the distance of the nearest states from the start, and whether there are more states."""
    levels, queue = {law.start: 0}, [law.start]
    for state in queue:
        for arc in law.arcs(state):
            if arc.target not in levels:
                if len(levels) == MAX_STATES:
                    return levels, True
                levels[arc.target] = levels[state] + 1
                queue.append(arc.target)
    return levels, False


def _places(graph: Any, levels: dict[Any, int]) -> dict[Any, tuple[float, float]]:
    """Return positions with a column for each level; the states of a column are ordered as their predecessors."""
    places: dict[Any, tuple[float, float]] = {}
    for level in range(max(levels.values()) + 1):

        def height(state: Any) -> float:
            before = [places[other][1] for other in graph.predecessors(state) if other in places]
            return sum(before) / len(before) if before else 0.0

        column = sorted((state for state in levels if levels[state] == level), key=height)
        for row, state in enumerate(column):
            places[state] = (float(level), row - (len(column) - 1) / 2)
    return places


def _draw_grammar(law: Grammar, path: Path) -> None:
    """Draw a bar for each rule, as long as its probability, grouped by nonterminal."""
    rows = [(left, rule) for left, rules in law.rules.items() for rule in rules]
    figure = Figure(figsize=(8, 0.8 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel="probability of the rule", xlim=(0, 1))
    colors = {left: COLORS[i % len(COLORS)] for i, left in enumerate(law.rules)}
    positions = range(len(rows))
    axes.barh(positions, [rule.probability for _, rule in rows], color=[colors[left] for left, _ in rows], height=0.7)
    axes.set_yticks(positions, [f"{left} → {' '.join(rule.right) or '(nothing)'}" for left, rule in rows], fontsize=8)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{law.name}: rewrite {law.start} until only words are left", fontsize=9)
    save_svg(figure, path)


def _state_name(state: Any) -> str:
    return ",".join(map(str, state)) if isinstance(state, tuple) else str(state)


def _stops(probability: float) -> str:
    return f"\n{probability:.3g}" if probability > 0 else ""


def _visible(symbol: str) -> str:
    return "␣" if symbol == " " else symbol
