"""Rights out of the contract."""

from tickdesk.tickets.v1 import rights_pb2
from tickets.convert.values import lines
from tickets.domain.rights import Grant


def from_rights(rights: rights_pb2.Rights) -> list[Grant]:
    """The grants of a queue. Raises InvalidInput for a line that is none."""
    return [
        Grant(
            agents=tuple(dict.fromkeys(each.agents)),
            lines=tuple(lines(each.lines, f"rights.grants[{index}].lines")),
            component=each.component,
            create=each.create,
            view=each.view,
            edit=each.edit,
        )
        for index, each in enumerate(rights.grants)
    ]
