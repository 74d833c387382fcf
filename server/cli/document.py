"""What a command says to a program: one JSON document on standard output."""

import sys
from collections.abc import Mapping

import orjson


def print_document(document: Mapping[str, object]) -> None:
    """Times are RFC 3339 in UTC, and ids are text; a later version may add fields, and removes none."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode() + "\n")
