"""The JSON Schema: it takes what the reader takes, and knows every key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from jsonschema import Draft7Validator

from clawproof_langgraph.config.models import TOP, AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Waiver
from clawproof_langgraph.config.schema import schema
from clawproof_langgraph.policy import Lock, Retry, ToolPolicy

from .conftest import Write
from .test_reading import example, told

SCHEMA = schema()


def faults(text: str) -> list[str]:
    """List what the schema finds wrong in a file."""
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(tomllib.loads(text))]


def test_it_is_a_schema_and_takes_the_example_of_the_page() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert faults(example()) == []


@pytest.mark.parametrize("kind", [ToolPolicy, Retry, Lock, ResourceTerms, AgentTerms, AlertTerms, AuditTerms, Waiver])
def test_it_has_each_field_of_each_model_in_the_models_own_words(kind: Any) -> None:
    definition = SCHEMA["definitions"][kind.__name__]
    assert list(definition["properties"]) == list(kind.model_fields)
    assert all(each["description"] for each in definition["properties"].values())


def test_it_has_each_key_of_the_file_with_a_description() -> None:
    assert list(SCHEMA["properties"]) == list(TOP)
    assert all(each["description"] for each in SCHEMA["properties"].values())


@pytest.mark.parametrize(
    "text",
    [
        'tools.x = { ttl = "30s", wait = 2, retry = false, locks = ["a/{b}", { resource = "a" }] }',
        'tools.x = { retry = { retry_on = "m:f" }, not_applied_on = "ValueError", key = "m:f" }',
        'tools.x = { profile = "p" }\nprofiles.p = { effect = "read" }',
    ],
)
def test_it_takes_short_forms_that_the_reader_takes(write: Write, text: str) -> None:
    assert (told(write(text)), faults(text)) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "namspace = 1",
        'unmapped = "alow"',
        "tools.x = { tll = 1 }",
        'tools.x = { ttl = "soon" }',
        'tools.x = { locks = "a" }',
        'tools.x = { effect = "reed" }',
        "tools.x = { retry = 3 }",
        'tools.x = { probe = "look" }',
        'defaults = { profile = "p" }',
        "agents.o = { wirtes = [] }",
        'audit.fail_on = "hi"',
        'audit.waive = [{ rule = "CP008" }]',
    ],
)
def test_it_refuses_what_the_reader_refuses(write: Write, text: str) -> None:
    assert told(write(text))
    assert faults(text)
