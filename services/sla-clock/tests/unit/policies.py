"""A small policy, and ways to change it."""

from __future__ import annotations

import pytest

from chassis.errors import InvalidInput
from sla_clock.policyfile import load

SMALL = """\
name: small
calendars:
  office:
    zone: Europe/Moscow
    hours:
      mon-fri: 09:00-18:00
targets:
  - name: all
    targets: {first_response: 1h}
"""


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def faults(text: str) -> list[str]:
    """Everything that is said of a wrong policy."""
    with pytest.raises(InvalidInput) as raised:
        load(text, file="p.yaml")
    assert raised.value.reason == "POLICY_INVALID"
    assert len(raised.value.violations) == len(str(raised.value).splitlines())
    return [line.removeprefix("p.yaml:") for line in str(raised.value).splitlines()]
