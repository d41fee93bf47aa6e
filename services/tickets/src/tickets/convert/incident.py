"""Mass incidents to the contract."""

from tickdesk.tickets.v1 import incident_pb2 as pb
from tickets.convert.tickets import to_actor
from tickets.convert.values import number, timestamp
from tickets.domain.incident import Incident, Task


def to_incident(incident: Incident) -> pb.Incident:
    """An incident with its tasks."""
    return pb.Incident(
        ticket_id=incident.ticket_id,
        ticket_key=f"{incident.queue}-{incident.number}",
        queue=incident.queue,
        subject=incident.subject,
        state=number(incident.state),
        topic=incident.topic,
        child_count=incident.child_count,
        suggested_count=incident.suggested_count,
        created_time=timestamp(incident.created_time),
        tasks=[to_task(each) for each in incident.tasks],
    )


def to_task(task: Task) -> pb.IncidentTask:
    """What is done to the children."""
    return pb.IncidentTask(
        kind=number(task.kind),
        actor=to_actor(task.actor),
        created_time=timestamp(task.created_time),
        finished_time=timestamp(task.finished_time),
        total=task.total,
        done=task.done,
        failures=[
            pb.IncidentFailure(ticket_key=each.ticket_key, reason=each.reason) for each in task.failures
        ],
    )
