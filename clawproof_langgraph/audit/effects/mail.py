"""Mail, messages and queues: what is sent twice arrives twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.keys import is_unstable
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Kind, Touch
from clawproof_langgraph.audit.findings import Confidence

_BY_KIND: Final[dict[str, tuple[Kind, frozenset[str]]]] = {
    "smtp": ("mail", frozenset({"send_message", "sendmail"})),
    "sendgrid": ("mail", frozenset({"send", "post"})),
    "djangomail": ("mail", frozenset({"send"})),
    "yagmail": ("mail", frozenset({"send"})),
    "slack": ("message", frozenset({"chat_postMessage", "chat_postEphemeral", "files_upload", "files_upload_v2",
    "chat_scheduleMessage", "chat_meMessage", "reminders_add"})),
    "slackhook": ("message", frozenset({"send", "send_dict"})),
    "twilio": ("message", frozenset({"create", "create_async"})),
    "telegram": ("message", frozenset({"send_message", "send_photo", "send_document"})),
    "kafka": ("queue", frozenset({"send", "produce", "send_and_wait"})),
    "rabbit": ("queue", frozenset({"basic_publish"})),
}  # fmt: skip
_BY_NAME: Final[dict[str, Kind]] = {
    "django.core.mail.send_mail": "mail", "django.core.mail.send_mass_mail": "mail",
    "django.core.mail.mail_admins": "mail", "aiosmtplib.send": "mail", "resend.Emails.send": "mail",
    "postmarker.core.PostmarkClient.emails.send": "mail",
}  # fmt: skip
_DISTINCT: Final[dict[str, Kind]] = {
    "chat_postMessage": "message", "sendmail": "mail", "basic_publish": "queue", "send_mass_mail": "mail",
}  # fmt: skip
_SENT: Final = "What is sent twice arrives twice."
_FIX: Final = (
    'Leave the tool at effect="once", or send through a service that takes an idempotency key; '
    "or note in a table, under the key of the call, that it was sent."
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell whether a call sends something."""
    if site.dotted in _BY_NAME:
        yield _sent(site, _BY_NAME[site.dotted], Confidence.CERTAIN)
        return
    kind, names = _BY_KIND.get(site.family, (None, frozenset[str]()))
    if kind is not None:
        if site.name in names or _named_method(site) in names:
            yield _sent(site, kind, Confidence.CERTAIN)
    elif site.name in _DISTINCT and not site.kind and site.receiver is not None:
        yield _sent(site, _DISTINCT[site.name], Confidence.LIKELY)
    elif site.name in ("apply_async", "delay", "send_task", "enqueue") and not site.kind and site.receiver is not None:
        yield from _queued(site)


def _named_method(site: Site) -> str:
    """Give the method of Slack that a call names: `api_call("chat.postMessage")`."""
    name = site.argument(0, "api_method") if site.name == "api_call" else None
    return text_of(name, site.scope).filled().replace(".", "_") if name is not None else ""


def _sent(site: Site, kind: Kind, confidence: Confidence) -> Touch:
    noun = {"mail": "mail", "message": "a message"}.get(kind, "to a queue")
    return site.touch(
        kind, f"{site.name}", repeatable=False, short=f"sends {noun}", why=_SENT, fix=_FIX, confidence=confidence
    )


def _queued(site: Site) -> Iterator[Touch]:
    """Celery and RQ: `task.delay(...)`, `task.apply_async(task_id=...)`, `queue.enqueue(f)`."""
    roots = {name.partition(".")[0] for name in site.scope.module.imports.values()}
    if not roots & {"celery", "rq", "dramatiq", "huey", "arq"} and site.name != "apply_async":
        return
    key = site.argument(None, "task_id", "job_id", "_job_id")
    if key is not None and not is_unstable(key, site.scope):
        yield site.touch(
            "queue",
            site.name,
            repeatable=True,
            why="It names the task, so that a repetition can be told.",
            confidence=Confidence.LIKELY,
        )
        return
    yield site.touch(
        "queue",
        site.name,
        repeatable=False,
        short="queues a task without an id of the call",
        why="Each repetition queues another one.",
        fix="Pass an id made from the call: task_id, job_id.",
        confidence=Confidence.LIKELY,
    )
