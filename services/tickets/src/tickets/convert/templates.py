"""What new queues can begin with: the files of the package."""

from functools import cache
from importlib.resources import files

from google.protobuf.json_format import ParseDict
from ruamel.yaml import YAML

from chassis.errors import NotFound
from tickdesk.tickets.v1 import setup_pb2

DEFAULT = "lines"
"""How a queue works that was made without a template."""


@cache
def all_templates() -> tuple[setup_pb2.QueueTemplate, ...]:
    """All templates, by key; read once."""
    found = [each for each in files("tickets").joinpath("templates").iterdir() if each.name.endswith(".yaml")]
    read = YAML(typ="safe", pure=True)
    templates = [ParseDict(read.load(each.read_text("utf-8")), setup_pb2.QueueTemplate()) for each in found]
    return tuple(sorted(templates, key=lambda each: each.key))


def template(key: str) -> setup_pb2.QueueTemplate:
    """One template. Raises NotFound (TEMPLATE_NOT_FOUND)."""
    for each in all_templates():
        if each.key == key:
            return each
    known = ", ".join(each.key for each in all_templates())
    text = f"no template {key}: there are {known}"
    raise NotFound(text, reason="TEMPLATE_NOT_FOUND", metadata={"template": key, "templates": known})
