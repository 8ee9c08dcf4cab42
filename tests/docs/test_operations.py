"""docs/operations.md names every error that a user can meet, with its cause and its cure, and none that there is not.

The errors are read from the source (error_messages.py); so who adds one is told here to say what to do about it.
"""

import re
from dataclasses import dataclass
from functools import cache

import pytest

from tests.docs.error_messages import ANYTHING, PACKAGES, ROOT, Message, error_classes, messages, trees

PAGE = ROOT / "docs" / "operations.md"
HEADER = "| it says | means | what to do |"
LEAST_LETTERS = 6
WHOLE = ("cannot … …: …",)
"""Patterns that stand for the one message which says no more than this: a part of too many others."""

DEVELOPERS = "flows/measure/"
"""Figures for docs/measurements.md, run by who changes the program."""


@dataclass(frozen=True)
class Row:
    """patterns: what it says, `…` for what differs."""

    patterns: tuple[str, ...]
    cause: str
    cure: str


@cache
def rows() -> tuple[Row, ...]:
    """Of all tables of the page that have the header."""
    found, inside = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        inside = line == HEADER or (inside and line.startswith("|"))
        if inside and line != HEADER and not line.startswith("| ---"):
            says, cause, cure = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append(Row(tuple(re.findall(r"`([^`]+)`", says)), cause, cure))
    return tuple(found)


@cache
def shown() -> tuple[Message, ...]:
    """Of what users run, those that do not just pass on another's words."""
    mine = [message for message in messages() if not message.where.startswith(DEVELOPERS)]
    return tuple(message for message in mine if letters(message.template) >= LEAST_LETTERS)


def letters(text: str) -> int:
    return sum(character.isalpha() for character in text)


def says(pattern: str, message: str) -> bool:
    if pattern in WHOLE:
        return pattern == message
    return compiled(pattern).search(message) is not None


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, pattern.split(ANYTHING))), re.DOTALL)


def test_every_message_of_the_program_is_on_the_page() -> None:
    missing = [
        f"{message.where}: {message.template}"
        for message in shown()
        if not any(says(pattern, message.template) for row in rows() for pattern in row.patterns)
    ]
    assert not missing, "add a row to docs/operations.md, 'Every message', for\n" + "\n".join(missing)


def test_the_page_names_no_message_that_the_program_does_not_have() -> None:
    known = [message.template for message in messages()]
    stale = [pattern for row in rows() for pattern in row.patterns if not any(says(pattern, each) for each in known)]
    assert stale == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.patterns[0][:30] if row.patterns else "empty")
def test_every_row_has_a_cause_and_a_cure_and_words_of_its_own(row: Row) -> None:
    assert row.patterns
    assert letters(row.cause) > LEAST_LETTERS
    assert letters(row.cure) > LEAST_LETTERS
    assert [pattern for pattern in row.patterns if letters(pattern) < LEAST_LETTERS] == []


def test_no_pattern_speaks_for_a_large_part_of_all_messages() -> None:
    for pattern in (pattern for row in rows() for pattern in row.patterns):
        count = sum(says(pattern, message.template) for message in shown())
        assert count <= len(shown()) // 15, f"{pattern!r} speaks for {count} messages"


def test_every_kind_of_error_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in sorted(error_classes(trees())) if f"`{kind}`" not in page] == []


def test_messages_are_read_from_all_packages_and_in_all_ways_of_making_them() -> None:
    templates = {message.template for message in messages()}
    assert {message.where.partition("/")[0] for message in messages()} == set(PACKAGES)
    # A plain text; a text in pieces; one made beforehand; one of a class that is chosen at run time.
    assert "the location is empty; give a folder or s3://bucket/prefix" in templates
    assert any("stores times for some of its frames only, and those do not tell" in each for each in templates)
    assert any(each.endswith("change its rights or choose another place") for each in templates)
    assert any("cannot be deleted (" in each for each in templates)
