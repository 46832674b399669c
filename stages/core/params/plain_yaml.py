"""YAML, by strangers perhaps: what is wrong is told by its place and never by the words there, and all has an end.

A word may be a secret, also where YAML takes it for a sign of its own: `!x` is a tag, `&x` an anchor, `*x` an alias.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import UserError

NODES_MAX = 100_000
INTEGER_BITS = 512
TAG_HANDLE = re.compile(r"'!.*'")
BAD_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, yaml.constructor.ConstructorError)
"""What PyYAML's constructors raise of a value that does not fit its tag; most of them quote it."""


class Refused(yaml.MarkedYAMLError):
    """A value that is not taken, told by its place."""

    def __init__(self, rule: str, place: Any):
        super().__init__(problem=rule, problem_mark=place.start_mark)


class PlainLoader(yaml.SafeLoader):
    """Mappings, lists and scalars; aliases as long as what they stand for comes to an end."""

    def __init__(self, stream: Any):
        super().__init__(stream)
        self.nodes = 0
        self.sizes: dict[yaml.Node | None, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event, before = self.peek_event(), self.nodes
        is_alias = isinstance(event, yaml.AliasEvent)
        if event.anchor and is_alias != (event.anchor in self.anchors):
            raise Refused("an alias (*) of no anchor, or an anchor (&) that is there already; quote a text", event)
        node = super().compose_node(parent, index)
        if is_alias and node not in self.sizes:
            raise Refused("a value must not hold itself", event)
        self.nodes += self.sizes[node] if is_alias else 1
        if self.nodes > NODES_MAX:
            raise Refused(f"more than {NODES_MAX} values, aliases written out", event)
        self.sizes.setdefault(node, self.nodes - before)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        mapping = super().compose_mapping_node(anchor)
        names: set[tuple[str, str]] = set()
        for key in (key for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in names:
                raise Refused("a key stands twice in its mapping", key)
            names.add((key.tag, key.value))
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except BAD_VALUE:
            raise Refused("a value does not fit its tag, or the tag is unknown; quote a text", node) from None
        if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
            raise Refused(f"a whole number of more than {INTEGER_BITS} bits", node)
        return value


def read_yaml(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        UserError: the file is missing or is no YAML; the place is told, and no value.
    """
    try:
        with open(path, encoding="utf-8") as file:  # of a text, an error would quote the line, and what secret is on it
            return PlainLoader(file).get_single_data()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        told = TAG_HANDLE.sub("of a tag", " ".join(str(error).split()))
        raise UserError(f"{path}: not valid YAML: {told}") from None
