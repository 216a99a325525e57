"""Cloud services: boto3 first, and Google's storage, queues and documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.growing import is_grown
from clawproof_langgraph.audit.effects.keys import is_unstable
from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Scope, Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Kind, Touch
from clawproof_langgraph.audit.findings import Confidence

_READS: Final = (
    "get_", "list_", "describe_", "head_", "batch_get", "receive_", "select_", "search", "lookup", "generate_presigned",
    "can_", "download", "filter", "scan", "query", "exists", "stream", "load", "reload", "wait_", "batch_writer",
    "meta", "detect_", "analyze_", "estimate_", "simulate_", "test_", "validate_", "verify_",
)  # fmt: skip
_ADDS: Final = frozenset(
    {"send_message", "send_message_batch", "send_messages", "publish", "publish_batch", "put_record", "put_records",
     "put_record_batch", "put_events", "run_instances", "run_task", "request_spot_instances", "start_execution",
     "send_command", "create_invalidation", "create_change_set", "start_job_run", "submit_job", "create_snapshot",
     "create_image", "create_volume", "allocate_address", "create_instances", "start_build", "create_ticket"}
)  # fmt: skip
_MAILS: Final = frozenset(
    {"send_email", "send_raw_email", "send_templated_email", "send_bulk_email", "send_text_message"}
)
_UNTOLD: Final = (
    "invoke",
    "execute_statement",
    "batch_execute",
    "transact_write_items",
    "put_log_events",
    "put_metric_data",
)
_TOKENS: Final = re.compile(
    r"^(Client(Request)?Token|Idempotency(Token|Key)|MessageDeduplicationId|CallerReference|RequestToken|clientToken|"
    r"idempotencyToken|clientRequestToken)$"
)
_FIX: Final = "Pass a token made from the call: MessageDeduplicationId, ClientToken or ClientRequestToken."
_NAMES: Final = ("Key", "key", "object_name", "destination_blob_name")
_RELATIVE: Final = re.compile(
    r"\bADD\b|=\s*(?:if_not_exists\s*\([^)]*\)|[#\w.\[\]{}]+)\s*[-+]|list_append\s*\(", re.IGNORECASE
)

_GOOGLE_ADDS: Final = ("insert", "create", "send", "append", "copy")
_GOOGLE_SETS: Final = ("update", "patch", "modify", "delete", "trash", "untrash", "clear")


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of a cloud's client does."""
    if site.family in ("aws", "awsres"):
        yield from _of_aws(site)
    elif site.family in ("gcs", "pubsub", "firestore"):
        yield from _of_google(site)
    elif site.name == "execute":
        yield from _of_google_request(site)


def _of_aws(site: Site) -> Iterator[Touch]:
    service = site.detail.partition(".")[0] or "aws"
    what = f"{service}.{site.name}"
    if site.name in _MAILS:
        yield _adding(site, "mail", what, service)
    elif site.name == "update_item" and service == "dynamodb":
        yield _item_updated(site, what)
    elif site.name.startswith(_READS) or site.name in ("Object", "Table", "exceptions", "close"):
        if site.name.startswith(("get_", "list_", "scan", "query", "head_", "describe_")):
            yield site.touch(
                "cloud", what, writes=False, repeatable=True, resource=_resource(site), why="It only reads."
            )
    elif site.name in _ADDS:
        yield _adding(site, "cloud", what, service)
    elif site.name.startswith(_UNTOLD):
        yield site.touch(
            "cloud",
            what,
            repeatable=None,
            resource=_resource(site),
            short=f"calls {what}",
            why="What it does cannot be told from here.",
            fix=_FIX,
            confidence=Confidence.POSSIBLE,
        )
    elif site.name.startswith(
        ("put", "upload", "copy", "delete", "update", "tag", "set_", "modify", "stop_", "terminate")
    ):
        yield _put(site, what, service)
    elif site.name.startswith(("create_", "start_", "import_", "request_", "add_")) and _token(site) is not None:
        yield _adding(site, "cloud", what, service)
    elif site.name.startswith(("create_", "start_", "import_", "request_", "add_", "attach_", "enable_", "disable_")):
        yield site.touch(
            "cloud",
            what,
            repeatable=None,
            resource=_resource(site),
            short=f"calls {what} without a token",
            why="Some services refuse a second one of the same name, some do not.",
            fix=_FIX,
            confidence=Confidence.POSSIBLE,
        )


def _resource(site: Site) -> str:
    for name in ("TableName", "Bucket", "QueueUrl", "TopicArn", "FunctionName", "StreamName"):
        argument = site.argument(None, name)
        if argument is not None:
            return text_of(argument, site.scope).filled()
    owner = site.scope.follow(site.receiver) if site.receiver is not None else None
    if owner is not None and isinstance(owner.node, ast.Call) and owner.node.args:
        return text_of(owner.node.args[0], owner.scope).filled()
    return ""


def _token(site: Site) -> Valued | None:
    for keyword in site.call.keywords:
        if keyword.arg is not None and _TOKENS.match(keyword.arg):
            return Valued(keyword.value, site.scope)
        if keyword.arg is None:
            for name, value in entries(keyword.value, site.scope):
                if value is not None and _TOKENS.match(name):
                    return value
    return None


def _adding(site: Site, kind: Kind, what: str, service: str) -> Touch:
    token = _token(site)
    if token is None and site.name == "start_execution" and (name := site.argument(None, "name")) is not None:
        token = Valued(name, site.scope)
    if token is None:
        short = f"sends mail by {what}" if kind == "mail" else f"calls {what} without a token"
        return site.touch(
            kind,
            what,
            repeatable=False,
            resource=_resource(site),
            short=short,
            fix=_FIX,
            why="The service cannot tell a repetition from a new request.",
        )
    if is_unstable(token.node, token.scope):
        return site.touch(
            kind,
            what,
            repeatable=False,
            resource=_resource(site),
            short=f"calls {what} with a new token each time",
            fix=_FIX,
            why="A token that is another one in each repetition tells the service nothing.",
        )
    return site.touch(
        kind, what, repeatable=True, resource=_resource(site), why="It passes a token by which a repetition is told."
    )


def _put(site: Site, what: str, service: str) -> Touch:
    name = site.argument(None, *_NAMES)
    if name is None and site.name.startswith(("upload", "put_object")) and len(site.call.args) > 2:
        name = site.call.args[2]
    if name is None and service == "s3" and site.receiver is not None:
        made = site.scope.follow(site.receiver).node
        name = made.args[-1] if isinstance(made, ast.Call) and made.args else None
    if name is not None and is_unstable(name, site.scope):
        return _new_name(site, what)
    if _is_written_back(site):
        return site.touch(
            "cloud",
            what,
            repeatable=False,
            resource=_resource(site),
            short="reads, changes what it read relative to that, and writes it back",
            why="A repetition reads the new contents and changes them again.",
            fix="Set values that come from the call, or refuse the second one by a condition on what was read.",
            confidence=Confidence.LIKELY,
        )
    item = site.argument(None, "Item")
    if item is not None and (bad := _bad_item(item, site.scope)):
        return site.touch(
            "cloud",
            what,
            repeatable=False,
            resource=_resource(site),
            short=f"puts an item {bad}",
            why="Each repetition writes another one.",
            fix="Make the item from the arguments of the call.",
            confidence=Confidence.LIKELY,
        )
    return site.touch(
        "cloud", what, repeatable=True, resource=_resource(site), why="It sets a state that a repetition finds."
    )


def _is_written_back(site: Site) -> bool:
    """Tell whether an object, or an item as a whole, is what was read from the same place, with something added."""
    body, item = site.argument(None, "Body"), site.argument(None, "Item")
    if body is not None:
        return is_grown(Valued(body, site.scope), lambda call: _reads_object(call, site))
    return isinstance(item, ast.Name) and is_grown(Valued(item, site.scope), _reads_item)


def _reads_object(call: Valued, site: Site) -> bool:
    """Tell whether a call gets the object that a site puts: by the same key, or by the same `s3.Object`."""
    match call.node:
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[]) if site.receiver is not None:
            return ast.unparse(owner) == ast.unparse(site.receiver)
        case ast.Call(func=ast.Attribute(attr="get_object"), keywords=keywords):
            read = next((each.value for each in keywords if each.arg == "Key"), None)
            put = site.argument(None, "Key")
            if read is None or put is None:
                return False
            return ast.unparse(read) == ast.unparse(put) or (
                (one := text_of(read, call.scope)).is_known and one.filled() == text_of(put, site.scope).filled()
            )
        case _:
            return False


def _new_name(site: Site, what: str) -> Touch:
    return site.touch(
        "cloud",
        what,
        repeatable=False,
        resource=_resource(site),
        short="writes under a new name each time",
        why="Each repetition writes another object.",
        fix="Make the name from the arguments of the call.",
    )


def _bad_item(item: ast.expr, scope: Scope) -> str:
    """Say what in an item is another one each time: its key, or a number computed from what was read."""
    for number, (name, value) in enumerate(entries(item, scope)):
        if value is None:
            continue
        is_first_id = number == 0 or name.lower() in ("id", "pk", "sk")
        if is_first_id and is_unstable(value.node, value.scope):
            return f"under a new {name} each time"
        for reading in readings(value):
            if reading.computed and name in reading.keys and _reads_item(reading.call):
                return f"whose {name} it computed from what it read"
    return ""


def _reads_item(call: Valued) -> bool:
    node = call.node
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get_item", "query", "scan")
        and kind_of(node.func.value, call.scope).startswith("aws:")
    )


def _item_updated(site: Site, what: str) -> Touch:
    expression = site.argument(None, "UpdateExpression")
    condition = site.argument(None, "ConditionExpression")
    text = text_of(expression, site.scope).filled() if expression is not None else ""
    resource = _resource(site)
    legacy = site.argument(None, "AttributeUpdates")
    relative = bool(_RELATIVE.search(text)) or (legacy is not None and "'ADD'" in ast.unparse(legacy))
    if not relative or _adds_to_sets(site, text):
        return site.touch(
            "cloud", what, repeatable=True, resource=resource, why="It sets values that do not depend on the old ones."
        )
    if condition is not None and _refuses_twice(
        text_of(condition, site.scope).filled() or ast.unparse(condition), ast.unparse(condition)
    ):
        return site.touch(
            "cloud",
            what,
            repeatable=True,
            resource=resource,
            why="Its condition no longer holds once it was made.",
            confidence=Confidence.LIKELY,
        )
    return site.touch(
        "cloud",
        what,
        repeatable=False,
        resource=resource,
        short="changes an item relative to its old value",
        why="Each repetition changes it again.",
        fix="Add a ConditionExpression on a value of the call: attribute_not_exists(...) or contains.",
    )


def _adds_to_sets(site: Site, text: str) -> bool:
    """Tell whether ADD adds to sets, which hold an element once."""
    values = site.argument(None, "ExpressionAttributeValues")
    if "ADD" not in text.upper() or values is None or re.search(r"=\s*[#\w]+\s*[-+]", text):
        return False
    given = [value for _, value in entries(values, site.scope)]
    return bool(given) and all(
        value is not None
        and (isinstance(value.node, ast.Set) or re.search(r"\{'[SNB]S':|^set\(", ast.unparse(value.node)))
        for value in given
    )


def _refuses_twice(text: str, written: str) -> bool:
    return bool(
        re.search(r"attribute_not_exists|NOT\s+contains|<>", text, re.IGNORECASE)
        or re.search(r"(?<![<>!])=\s*:", text)
        or "not_exists()" in written
    )


def _of_google_request(site: Site) -> Iterator[Touch]:
    """`service.users().messages().send(...).execute()` of Google's API client."""
    match site.receiver:
        case ast.Call(func=ast.Attribute(attr=verb) as func) if verb in (*_GOOGLE_ADDS, *_GOOGLE_SETS):
            service: ast.expr = func.value
            while isinstance(service, ast.Call) and isinstance(service.func, ast.Attribute):
                service = service.func.value
            if not kind_of(service, site.scope).startswith("google:"):
                return
        case _:
            return
    what = ast.unparse(func)
    if verb in _GOOGLE_SETS:
        yield site.touch("cloud", what, repeatable=True, why="It sets what it names.")
        return
    yield site.touch(
        "cloud",
        what,
        repeatable=False,
        short=f"calls {what}, which makes another one each time",
        why="The service cannot tell a repetition from a new request.",
        fix="Give it an id made from the call, where the API takes one, or look for it before.",
    )


def _of_google(site: Site) -> Iterator[Touch]:
    what = f"{site.family}.{site.name}"
    if site.family == "pubsub" and site.name == "publish":
        yield _adding(site, "queue", what, "pubsub")
    elif site.family == "gcs" and site.name.startswith("upload_from"):
        made = site.scope.follow(site.receiver).node if site.receiver is not None else None
        name = made.args[0] if isinstance(made, ast.Call) and made.args else None
        if is_unstable(name, site.scope):
            yield _new_name(site, what)
        else:
            yield site.touch(
                "cloud", what, repeatable=True, resource=_resource(site), why="It replaces the object of that name."
            )
    elif site.family == "firestore" and site.name in ("set", "update", "delete", "create", "add"):
        if site.name == "add" or "Increment(" in ast.unparse(site.call):
            short = "adds a document under a new name" if site.name == "add" else "increments a field"
            yield site.touch(
                "cloud",
                what,
                repeatable=False,
                short=short,
                why="Each repetition does it again.",
                fix="Use document(id).set(...) with a name made from the call.",
            )
        else:
            yield site.touch("cloud", what, repeatable=True, why="It sets a document by its name.")
