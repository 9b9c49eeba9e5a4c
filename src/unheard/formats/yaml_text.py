"""YAML as far as it is JSON in another spelling: mappings, lists, texts, numbers, true, false and null.

Dates stay text, and merged mappings a name. An alias is another copy of what it stands for. Tags are refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from yaml.resolver import Resolver

from unheard.errors import DataError, UnheardError
from unheard.files import read_bytes
from unheard.formats.plain import MAX_LEVELS, refuse_odd_values

#: Bytes of a file. Recipes have a few thousand, and the reader takes seconds for more.
MAX_BYTES = 2**16
#: Values of a text, each alias counted as what it stands for.
MAX_VALUES = 100_000


def read(
    path: str | os.PathLike[str],
    error: type[UnheardError] = DataError,
    *,
    most: int = MAX_BYTES,
    names_as_text: bool = False,
) -> Any:
    """Return the value in a YAML file.

    Parameters
    ----------
    path
        A regular file in UTF-8.
    error
        The kind of error that is raised.
    most
        Bytes that the file may have.
    names_as_text
        As for :func:`parse`.

    Raises
    ------
    error
        The file is missing, larger than ``most`` or no regular file, or its content is refused by :func:`parse`.
    """
    return parse(read_bytes(path, most, error), path, error, names_as_text=names_as_text)


def parse(
    text: str | bytes,
    where: object,
    error: type[UnheardError] = DataError,
    *,
    names_as_text: bool = False,
) -> Any:
    """Return the value in a YAML text.

    Parameters
    ----------
    text
        The text, or its bytes in UTF-8.
    where
        What errors name: a file, or a place in one.
    error
        The kind of error that is raised.
    names_as_text
        Take a name that is a number, true or false as its text (``3:`` is ``"3":``) instead of refusing it.

    Raises
    ------
    error
        It is not UTF-8 or not YAML, holds a name twice in a mapping, a name that is no text, a tag, or
        what :func:`unheard.formats.plain.refuse_odd_values` refuses.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        loader = _Loader(text, names_as_text)
        node = loader.get_single_node()
        value = None if node is None else loader.plain(node)
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
    said = (getattr(reason, "context", None), getattr(reason, "problem", None))
    return f"{', '.join(filter(None, said))} (line {mark.line + 1}, character {mark.column + 1})"


class _Loader(yaml.SafeLoader):
    """A safe loader without dates, tags and merged mappings, which makes no object twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the form are PyYAML's
        first: [
            (tag, rule) for tag, rule in rules if tag.rpartition(":")[2] in ("null", "bool", "int", "float")
        ]
        for first, rules in Resolver.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, names_as_text: bool) -> None:
        super().__init__(text)
        self._names_as_text = names_as_text
        self._levels = self._values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _refused("a tag (!) is not read here; leave it out, or put the text in quotes", event)
        with self._inside(event):
            return super().compose_node(parent, index)

    def plain(self, node: Any) -> Any:
        """Return the value of a node; what an alias stands for is written out again."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise _refused(f"more than {MAX_VALUES:,} values, what aliases (*) stand for included", node)
        with self._inside(node):
            if isinstance(node, yaml.SequenceNode):
                return [self.plain(item) for item in node.value]
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            return self.construct_object(node)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > 70:  # 64 bits in binary
            raise _refused("a whole number of more than 64 bits", node)
        return super().construct_yaml_int(node)

    def _mapping(self, node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            as_text = self._names_as_text and isinstance(key, yaml.ScalarNode)
            name = key.value if as_text else self.plain(key)
            if not isinstance(name, str):
                raise _refused("the name of a field is no text; put it in quotes", key)
            if name in found:
                raise _refused(f"the name {name[:100]!r} stands twice in one mapping", key)
            found[name] = self.plain(value)
        return found

    @contextmanager
    def _inside(self, place: Any) -> Iterator[None]:
        if self._levels > MAX_LEVELS:
            raise _refused(f"more than {MAX_LEVELS} levels of lists and mappings inside each other", place)
        self._levels += 1
        yield
        self._levels -= 1


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _refused(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
