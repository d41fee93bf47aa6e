"""`tickdesk mail show`: what intake understands of a message, for people and for programs."""

from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from intake.domain import ParsedMail
from intake.mail import understand
from tickdesk_cli import mailbox
from tickdesk_cli.terminal import console, write

_KINDS = {
    "person": "a person",
    "auto_reply": "a robot: automatic reply",
    "bounce": "a robot: delivery report",
    "list": "a robot: mailing list or newsletter",
}


async def show(path: Path, as_json: bool) -> None:
    """Print one message as intake understands it. Raises Problem (code 2) when it is none."""
    mail = understand(mailbox.one(path).raw)
    if as_json:
        write(mail.to_dict())
    else:
        console.print(card(mail))


def card(mail: ParsedMail) -> Panel:
    """The message as a card: who, what, the words, the files, what was odd."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(mail):
        facts.add_row(name, Text(value))
    parts: list[Table | Rule | Text] = [
        facts,
        Rule(style="dim"),
        Text(mail.reply or mail.text or "(no text)"),
    ]
    if mail.reply and mail.reply.strip() != mail.text.strip():
        hidden = len(mail.text.splitlines()) - len(mail.reply.splitlines())
        parts.append(Text(f"\n({max(hidden, 1)} lines of quote and signature left out)", style="dim"))
    for each in mail.warnings:
        parts.append(Text(f"! {each}", style="yellow"))
    return Panel(Group(*parts), title=Text(mail.subject or "(no subject)", style="bold"), title_align="left")


def _facts(mail: ParsedMail) -> list[tuple[str, str]]:
    sender = mail.sender
    files = [
        f"{each.label} ({each.media_type}, {_size(each.size)}{', in the text' if each.inline else ''})"
        for each in mail.attachments
    ]
    rows = [
        ("from", f"{sender.name} <{sender.address}>".strip() if sender else "nobody"),
        ("to", ", ".join(each.address for each in (*mail.to, *mail.cc))),
        ("written", mail.sent_at.isoformat(" ", "seconds") if mail.sent_at else "no date"),
        ("by", _kind(mail)),
        ("language", mail.language or "cannot be told"),
        ("files", "\n".join(files)),
        ("answers", ", ".join(list(dict.fromkeys((*mail.thread.in_reply_to, *mail.thread.references)))[:3])),
        ("signed for", _token(mail)),
        ("could not reach", ", ".join(mail.failure.addresses) if mail.failure else ""),
    ]
    return [(name, value) for name, value in rows if value]


def _kind(mail: ParsedMail) -> str:
    text = _KINDS[mail.kind.value]
    if mail.robot_signs:
        text += f" ({', '.join(mail.robot_signs)})"
    return text + (", only asks for news" if mail.nudge else "")


def _token(mail: ParsedMail) -> str:
    token = mail.thread.reply_token or mail.thread.subject_token
    return f"conversation {token.conversation_id} (a claim until its signature is checked)" if token else ""


def _size(size: int) -> str:
    return (
        f"{size} bytes"
        if size < 1024
        else f"{size / 1024:.0f} KB"
        if size < 1024**2
        else f"{size / 1024**2:.1f} MB"
    )
