"""A client of the tickets API in plain grpcio: opens a ticket, takes it, answers it, lists what is open.

    python examples/client.py HOST:PORT TOKEN

TOKEN is one of TICKDESK_TICKETS_TOKENS; `tickdesk up` and `make demo KEEP=1` print where theirs is.
"""

import sys
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tickdesk.common.v1.common_pb2 import CHANNEL_EMAIL, PRIORITY_HIGH
from tickdesk.tickets.v1.ticket_pb2 import Contact
from tickdesk.tickets.v1.tickets_service_pb2 import (
    CreateTicketRequest,
    ListTicketsRequest,
    ReplyToTicketRequest,
    TakeTicketRequest,
)
from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceStub
from tickdesk.tickets.v1.timeline_pb2 import STATUS_KIND_NEW, STATUS_KIND_OPEN


def main(target: str, token: str) -> None:
    """Walk through the calls that most clients need. Every call has a deadline and says who calls."""
    call = {"timeout": 10, "metadata": [("authorization", f"Bearer {token}")]}
    with grpc.insecure_channel(target) as channel:
        tickets = TicketServiceStub(channel)
        # A request_id makes a retry safe: the same id and body again returns the first answer.
        opened = CreateTicketRequest(
            request_id=str(uuid.uuid4()),
            queue="SUP",
            subject="Export hangs at 99 %",
            text="The export of November never ends.",
            contact=Contact(channel=CHANNEL_EMAIL, address="kim@client.example.com"),
            priority=PRIORITY_HIGH,
        )
        ticket = tickets.CreateTicket(opened, **call).ticket
        print(f"opened {ticket.key}, version {ticket.version}")
        again = tickets.CreateTicket(opened, **call).ticket
        print(f"sent again: still {again.key}")

        take = TakeTicketRequest(
            request_id=str(uuid.uuid4()), ticket=ticket.key, agent_id="anna", version=ticket.version
        )
        taken = tickets.TakeTicket(take, **call).ticket
        print(f"{taken.key} is {taken.status}, {taken.assignee} has it")

        # Writes may name the version they saw; a stale one is refused and changes nothing.
        reply = ReplyToTicketRequest(
            request_id=str(uuid.uuid4()),
            ticket=ticket.key,
            agent_id="anna",
            text="On it.",
            version=ticket.version,
        )
        try:
            tickets.ReplyToTicket(reply, **call)
        except grpc.RpcError as error:
            print(f"refused: {reason(error)}")
        reply.version, reply.request_id = taken.version, str(uuid.uuid4())
        tickets.ReplyToTicket(reply, **call)

        request = ListTicketsRequest(status_kinds=[STATUS_KIND_NEW, STATUS_KIND_OPEN], page_size=100)
        while True:
            page = tickets.ListTickets(request, **call)
            for each in page.tickets:
                print(f"{each.key:8} {each.status:12} {each.subject}")
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token


def reason(error: grpc.RpcError) -> str:
    """The machine-readable reason of an error of Tickdesk, such as STALE_VERSION."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return info.reason
    return str(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
