"""The resources of a request, and the two that stand for its call.

The key and the scope of a call are two more exclusive resources. Their names begin with noncharacters, which users'
names must not contain, and which sort last.
"""

from __future__ import annotations

from typing import Final

from clawproof_langgraph.model import Begin, Mode, Want

_SCOPE: Final = "\U0010fffe"
_KEY: Final = "\U0010ffff"


def all_wants(ask: Begin) -> tuple[Want, ...]:
    """List the resources of a request with those that stand for its scope and its key."""
    wants = ask.wants
    if ask.scope:
        wants += (Want(_SCOPE + ask.scope, Mode.EXCLUSIVE),)
    if ask.key:
        wants += (of_key(ask.key),)
    return wants


def of_key(key: str) -> Want:
    """Give the resource that stands for a key."""
    return Want(_KEY + key, Mode.EXCLUSIVE)


def user_wants(wants: tuple[Want, ...]) -> tuple[Want, ...]:
    """List the wants of a request without those that stand for its scope and its key."""
    end = len(wants)
    while end and not is_users(wants[end - 1].resource):
        end -= 1
    return wants[:end]


def names_of(wants: tuple[Want, ...]) -> tuple[str, ...]:
    """List the names of resources that a user knows."""
    return tuple([want.resource for want in wants if want.resource < _SCOPE])


def is_users(resource: str) -> bool:
    """Tell whether a resource is one that a user knows."""
    return resource < _SCOPE


def is_scope(resource: str) -> bool:
    """Tell whether a resource stands for a scope."""
    return resource.startswith(_SCOPE)


def is_key(resource: str) -> bool:
    """Tell whether a resource stands for a key."""
    return resource.startswith(_KEY)


def shown(resource: str, holder: Begin) -> str:
    """Give a resource as a message names it."""
    return f"{holder.tool} with the same arguments" if is_scope(resource) else resource.removeprefix(_KEY)
