"""A language as a picture: its automaton with states and arcs, or its grammar with the rules and their weights."""

import math
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import networkx as nx
from matplotlib.figure import Figure

from elman.errors import LanguageError
from elman.languages import Language
from elman.languages.grammar import Grammar
from elman.languages.machine import Machine
from elman.languages.spelling import Spelled
from elman.report.figures import COLOURS, save_svg

MOST_STATES = 12
"""States that are drawn; of an automaton with more, such as one that counts, those that are nearest to the start."""


def draw(law: Language, path: Path) -> None:
    """Write the picture of a language as SVG.

    Raises
    ------
    LanguageError
        It is neither an automaton nor a grammar.
    """
    if isinstance(law, Spelled):
        law = law.words
    if isinstance(law, Machine):
        _draw_machine(law, path)
    elif isinstance(law, Grammar):
        _draw_grammar(law, path)
    else:
        raise LanguageError(f"{law.name} is drawn from no automaton and no grammar.", "Draw it without a limit.")


def _draw_machine(law: Machine[Any], path: Path) -> None:
    states, cut = _nearest(law)
    graph = nx.DiGraph()
    graph.add_nodes_from(states)
    labels: dict[tuple[Any, Any], list[str]] = defaultdict(list)
    for state in states:
        for arc in law.arcs(state):
            if arc.target in states:
                graph.add_edge(state, arc.target)
                labels[state, arc.target].append(f"{_visible(arc.symbol)} {arc.probability:.3g}")
    places = nx.kamada_kawai_layout(graph) if len(states) > 2 else nx.circular_layout(graph)
    places = _left_to_right(places, law.start)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.margins(0.2)
    edges = [COLOURS[3] if state == law.start else "black" for state in graph.nodes]
    nx.draw_networkx_nodes(graph, places, ax=axes, node_color="white", edgecolors=edges, node_size=2200, linewidths=1.5)
    names = {state: _state_name(state) + _stops(law.stop(state)) for state in graph.nodes}
    nx.draw_networkx_labels(graph, places, names, ax=axes, font_size=8)
    nx.draw_networkx_edges(graph, places, ax=axes, node_size=2200, connectionstyle="arc3,rad=0.15", arrowsize=15)
    nx.draw_networkx_edge_labels(
        graph,
        places,
        {edge: "\n".join(found) for edge, found in labels.items()},
        ax=axes,
        font_size=8,
        connectionstyle="arc3,rad=0.15",
        rotate=False,
        label_pos=0.4,
    )
    more = f"; it has more states than these {MOST_STATES}" if cut else ""
    axes.set_title(
        f"{law.name}: the start is orange; a state's second line is its probability to stop{more}", fontsize=9
    )
    save_svg(figure, path)


def _nearest(law: Machine[Any]) -> tuple[list[Any], bool]:
    """Return the states nearest to the start, and whether there are more."""
    found, ahead = [law.start], [law.start]
    while ahead and len(found) <= MOST_STATES:
        state = ahead.pop(0)
        for arc in law.arcs(state):
            if arc.target not in found:
                found.append(arc.target)
                ahead.append(arc.target)
    return list(islice(found, MOST_STATES)), len(found) > MOST_STATES


def _left_to_right(places: dict[Any, Any], start: Any) -> dict[Any, Any]:
    """Turn a layout so that the start lies at the left."""
    x, y = places[start]
    angle = math.pi - math.atan2(y, x) if (x, y) != (0, 0) else 0.0
    cos, sin = math.cos(angle), math.sin(angle)
    return {state: (cos * a - sin * b, sin * a + cos * b) for state, (a, b) in places.items()}


def _draw_grammar(law: Grammar, path: Path) -> None:
    """A bar for each rule, as long as its probability, the rules of a nonterminal together."""
    rows = [(left, rule) for left, rules in law.rules.items() for rule in rules]
    figure = Figure(figsize=(8, 0.8 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel="probability of the rule", xlim=(0, 1))
    colours = {left: COLOURS[i % len(COLOURS)] for i, left in enumerate(law.rules)}
    positions = range(len(rows))
    axes.barh(positions, [rule.probability for _, rule in rows], color=[colours[left] for left, _ in rows], height=0.7)
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
