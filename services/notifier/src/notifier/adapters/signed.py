"""The signed places of our mail that name a conversation; intake looks for them in answers."""

from chassis.sign import sign

_PURPOSE = "reply"
_SUBJECT_SIZE = 16


def mac(keys: str, conversation_id: str, recipient: str) -> str:
    """Signature over the conversation and the person the mail goes to: good for nobody else."""
    return sign(keys, _PURPOSE, conversation_id, recipient.lower(), size=26)


def reply_address(mailbox: str, conversation_id: str, signature: str) -> str:
    """Where an answer goes: `support@x.example` becomes `support+<conversation>.<mac>@x.example`."""
    local, _, domain = mailbox.rpartition("@")
    return f"{local}+{conversation_id}.{signature}@{domain}"


def subject_tag(ticket_key: str, conversation_id: str, signature: str) -> str:
    """The tag at the end of a subject."""
    return f"[#{ticket_key} {conversation_id}.{signature[:_SUBJECT_SIZE]}]"


def message_id(conversation_id: str, signature: str, unique: str, domain: str) -> str:
    """A Message-ID in its brackets."""
    return f"<{conversation_id}.{signature}.{unique}@{domain}>"
