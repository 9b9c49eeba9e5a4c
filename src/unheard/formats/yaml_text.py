"""YAML as far as it is JSON in another spelling: mappings, lists, texts, numbers, true, false and null.

Dates stay text. Tags, aliases and merged mappings are refused: nothing that is read here needs them.
"""

from __future__ import annotations

import os
from typing import Any

import yaml
from yaml.resolver import Resolver

from unheard.errors import DataError, UnheardError
from unheard.files import read_bytes
from unheard.formats.plain import MOST_LEVELS, refuse_odd_values

#: Bytes of a file. Recipes have a few thousand, and the reader takes seconds for more.
MOST_BYTES = 2**16


def read(path: str | os.PathLike[str], error: type[UnheardError] = DataError) -> Any:
    """Return the value in a YAML file.

    Parameters
    ----------
    path
        A regular file in UTF-8.
    error
        The kind of error that is raised.

    Raises
    ------
    error
        The file is missing, larger than :data:`MOST_BYTES` or no regular file, or its content is refused by
        :func:`parse`.
    """
    return parse(read_bytes(path, MOST_BYTES, error), path, error)


def parse(text: str | bytes, where: object, error: type[UnheardError] = DataError) -> Any:
    """Return the value in a YAML text.

    Parameters
    ----------
    text
        The text, or its bytes in UTF-8.
    where
        What errors name: a file, or a place in one.
    error
        The kind of error that is raised.

    Raises
    ------
    error
        It is not UTF-8 or not YAML, holds a name twice in a mapping, a name that is no text, a tag or an alias, or
        what :func:`unheard.formats.plain.refuse_odd_values` refuses.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = yaml.load(text, _Loader)  # noqa: S506 - a safe loader that knows even less
        refuse_odd_values(value)
    except UnicodeDecodeError as reason:
        raise error(f"{where}: not UTF-8 (byte {reason.start}); save it as UTF-8") from reason
    except (yaml.YAMLError, ValueError) as reason:
        raise error(f"{where}: not YAML that is read: {_in_one_line(reason)}") from reason
    return value


def _in_one_line(reason: Exception) -> str:
    mark = getattr(reason, "problem_mark", None)
    if mark is None:
        return " ".join(str(reason).split())
    problem = getattr(reason, "problem", None) or "it ends too early"
    return f"{problem} (line {mark.line + 1}, character {mark.column + 1})"


class _Loader(yaml.SafeLoader):
    """A safe loader without dates, tags, aliases and merged mappings."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the form are PyYAML's
        first: [(tag, rule) for tag, rule in rules if tag.rpartition(":")[2] in ("null", "bool", "int", "float")]
        for first, rules in Resolver.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.levels = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _refused("an alias (*) is not read here; write it out, or put the text in quotes", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("a tag (!) is not read here; leave it out, or put the text in quotes", event)
        if self.levels > MOST_LEVELS:
            raise _refused(f"more than {MOST_LEVELS} levels of lists and mappings inside each other", event)
        self.levels += 1
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not isinstance(self.construct_object(key), str):
                raise _refused("the name of a field is no text; put it in quotes", key)
            if key.value in seen:
                raise _refused(f"the name {key.value[:100]!r} stands twice in one mapping", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > 70:  # 64 bits in binary
            raise _refused("a whole number of more than 64 bits", node)
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _refused(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
