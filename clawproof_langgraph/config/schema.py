"""The JSON Schema of the file, from which editors complete and check: made of the models, with their own words."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from clawproof_langgraph.config.models import UNMAPPED, AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Waiver
from clawproof_langgraph.policy import Lock, Retry, ToolPolicy

_MODELS: Final[tuple[type[BaseModel], ...]] = (ToolPolicy, ResourceTerms, AgentTerms, AlertTerms, AuditTerms)
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""The one that the editors of TOML know."""
_MODE: Final[Literal["validation"]] = "validation"
_PARAGRAPH: Final = re.compile(r"\n    (?=\w+(?:, \w+)*: )")


class _Plain(GenerateJsonSchema):
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as its base has it


def schema() -> dict[str, Any]:
    """Make the JSON Schema of a clawproof.toml."""
    _, made = models_json_schema(
        [(kind, _MODE) for kind in _MODELS], ref_template="#/definitions/{model}", schema_generator=_Plain
    )
    definitions: dict[str, Any] = {name: _cleaned(each) for name, each in made["$defs"].items()}
    kinds: tuple[type[BaseModel], ...] = (*_MODELS, Retry, Lock, Waiver)
    for kind in kinds:
        _describe(definitions[kind.__name__], kind)
    definitions["Tool"] = _tool(definitions["ToolPolicy"])
    return {
        "$schema": _DIALECT,
        "title": "clawproof.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": _top(),
        "definitions": definitions,
    }


def _top() -> dict[str, Any]:
    texts = {
        "url": "The store: sqlite:///FILE (relative to this file), memory://, redis://HOST, and so on.",
        "namespace": "Nothing is shared between namespaces.",
    }
    return {
        **{name: {"type": "string", "minLength": 1, "description": text} for name, text in texts.items()},
        "unmapped": {"enum": list(UNMAPPED), "description": "What becomes of a tool without a policy."},
        "defaults": _ref("ToolPolicy", "What holds of every tool, unless its own table or its profile says otherwise."),
        "profiles": _tables("ToolPolicy", "Policies that tools name with `profile`."),
        "tools": _tables("Tool", "Policies by the name of a tool, or by a pattern such as `get_*` or `{buy,sell}_*`."),
        "resources": _tables("ResourceTerms", "Terms by a pattern of resources, such as `inventory/*`."),
        "agents": _tables("AgentTerms", "What each agent is there for, by its name."),
        "alerts": _ref("AlertTerms", "What is told to whom."),
        "audit": _ref("AuditTerms", "What `clawproof --check 10` goes by."),
    }


def _ref(name: str, description: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"#/definitions/{name}"}], "description": description}


def _tables(name: str, description: str) -> dict[str, Any]:
    inner = {"$ref": f"#/definitions/{name}"}
    return {"type": "object", "additionalProperties": inner, "description": description}


def _tool(policy: dict[str, Any]) -> dict[str, Any]:
    profile = {"type": "string", "description": "The name of one of `[profiles]`; what this table says counts more."}
    return {**policy, "properties": {"profile": profile, **policy["properties"]}}


def _cleaned(value: Any) -> Any:
    """Drop what TOML has no word for, and the titles that only repeat the names."""
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _cleaned(each) for name, each in value.items() if not _is_noise(name, each)}
    if "anyOf" in kept:
        kept["anyOf"] = [each for each in kept["anyOf"] if each != {"type": "null"}]
    if len(choices := kept.get("anyOf", ())) == 1:
        return {**choices[0], **{name: each for name, each in kept.items() if name != "anyOf"}}
    return kept


def _is_noise(name: str, value: Any) -> bool:
    return (name == "title" and isinstance(value, str)) or (name == "default" and value in (None, []))


def _describe(definition: dict[str, Any], kind: type[BaseModel]) -> None:
    """Put the words of a docstring where an editor shows them."""
    about, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")
    definition["description"] = _joined(about)
    arguments = rest.partition("\n\n")[0]
    for paragraph in _PARAGRAPH.split(arguments)[1:]:
        names, _, text = paragraph.partition(": ")
        for name in names.split(", "):
            if name in definition["properties"]:
                definition["properties"][name]["description"] = _sentence(_joined(text))


def _joined(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
