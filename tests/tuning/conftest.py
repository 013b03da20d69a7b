"""Make searches fast: the database does not wait for the disk, and no figure is drawn unless a test asks for it."""

import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from elman.report import figures


@event.listens_for(Engine, "connect")
def do_not_wait_for_the_disk(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):  # nothing here has to survive a power failure
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(autouse=True)
def no_figure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "search_figure" not in request.fixturenames:
        monkeypatch.setattr(figures, "search_figure", lambda *_: None)


@pytest.fixture
def search_figure() -> None:
    """Ask for the figure that a search draws when it ends."""
