"""Reads a page back: elements with their attributes, and tables as rows of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Node]:
        """Elements of some tags below this one, in document order; all elements without tags."""
        found = []
        for child in self.children:
            if not tags or child.tag in tags:
                found.append(child)
            found += child.all(*tags)
        return found

    @property
    def words(self) -> str:
        """Text below this element, spaces joined."""
        return " ".join(" ".join(self.text).split())

    @property
    def rows(self) -> list[list[str]]:
        """Rows of a table, its head first."""
        return [[cell.words for cell in row.all("th", "td")] for row in self.all("tr")]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> says an attribute twice"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.text.append(data)


def read(text: str) -> Node:
    """Read a page; it must be well formed, each element closed where it was opened."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], f"never closed: {[n.tag for n in reader.open[1:]]}"
    return reader.root


def figure(page: Node, name: str) -> Node:
    """Return the figure of that id."""
    return next(node for node in page.all("figure") if node.attributes.get("id") == name)


def table(page: Node, caption: str) -> list[list[str]]:
    """Rows of the table whose caption begins so, head first."""
    return next(
        node.rows
        for node in page.all("table")
        if any(c.words.startswith(caption) for c in node.all("caption"))
    )
