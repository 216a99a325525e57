"""`clawproof schema`, `explain` and `alerts`, and what all commands take from the file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph import Coordinator
from clawproof_langgraph.cli import main
from clawproof_langgraph.config.schema import schema

MODULE = [sys.executable, "-m", "clawproof_langgraph.cli"]
FILE = """\
url = "sqlite:///state.db"
namespace = "shop"

[defaults]
ttl = "20s"

[profiles.payments]
effect = "keyed"
retry = { deadline = "1m", max_retries = 4 }

[tools."{reserve,return}_*"]
locks = ["inventory/{sku}"]

[tools.pay]
profile = "payments"
probe = "nowhere_at_all:look"
ttl = "90s"

[resources."inventory/*"]
ttl = "5s"

[agents.orders]
tools = ["reserve_*"]
writes = ["inventory/*"]

[agents.pricing]
tools = ["set_price"]
writes = ["pricing/*"]
enforce = true

[alerts]
events = ["Sold"]
sinks = ["log", "shop_sinks:note"]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the present folder, with a file in it."""
    for name in ("UNMAPPED", "CONFIG"):
        monkeypatch.delenv(f"CLAWPROOF_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clawproof.toml").write_text(FILE)
    return tmp_path


def run(*arguments: str, **options: Any) -> Result:
    """Run `clawproof`."""
    return CliRunner().invoke(main, list(arguments), **options)


def rows(result: Result) -> dict[str, tuple[str, str]]:
    """Read the table: value and origin by field."""
    lines = [line.split("  ") for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {cell[0]: (cell[1], cell[2]) for cell in cells if len(cell) == 3}


# --- explain ----------------------------------------------------------------------------------------------------


def test_explain_tells_where_each_value_comes_from() -> None:
    result = run("explain", "pay")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == 'pay: tools.pay, with profile "payments" (clawproof.toml:14)'
    table = rows(result)
    assert table["ttl"] == ('"90s"', "clawproof.toml:17 (tools.pay)")
    assert table["effect"] == ('"keyed"', "clawproof.toml:8 (profiles.payments)")
    assert table["retry"] == ('{ max_retries = 4, deadline = "1m" }', "clawproof.toml:9 (profiles.payments)")
    assert table["probe"] == ('"nowhere_at_all:look"', "clawproof.toml:16 (tools.pay)")
    assert table["wait"] == ('"135s"', "default, 1.5 times the ttl")
    assert table["key_window"] == ('"1d"', "default")
    assert table["namespace"] == ('"shop"', "clawproof.toml:2 (namespace)")


def test_explain_tells_what_the_environment_and_an_option_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWPROOF_URL", "redis://user:secret@host")
    monkeypatch.setenv("CLAWPROOF_UNMAPPED", "allow")
    result = run("explain", "pay", "--namespace", "other")
    table = rows(result)
    assert table["url"] == ('"redis://user:PASSWORD@host"', "environment, CLAWPROOF_URL")
    assert table["unmapped"] == ('"allow"', "environment, CLAWPROOF_UNMAPPED")
    assert table["namespace"] == ('"other"', "option of this command")
    assert "secret" not in result.output


def test_explain_tells_what_resources_and_the_agent_say() -> None:
    said = run("explain", "reserve_stock", "--agent", "orders").stdout
    assert 'inventory/{sku}: resources."inventory/*" has ttl = "5s" (clawproof.toml:19)' in said
    assert 'Agent "orders" may change inventory/{sku} (clawproof.toml:22).' in said
    said = run("explain", "reserve_stock", "--agent", "pricing").stdout
    assert 'Agent "pricing" does not list this tool (clawproof.toml:26).' in said
    assert "does not say that it changes inventory/{sku} (clawproof.toml:26): the call is refused." in said
    assert 'did you mean "pricing"?' in run("explain", "pay", "--agent", "pricin").stderr


def test_explain_of_a_tool_without_a_policy_says_what_becomes_of_it_and_the_nearest() -> None:
    result = run("explain", "reserv_stock")
    assert result.exit_code == 1
    assert 'with unmapped = "error", it is refused before it runs' in result.stdout


def test_explain_as_json_is_one_document() -> None:
    said = json.loads(run("explain", "pay", "--format", "json").stdout)
    assert (said["pattern"], said["profile"], said["file"]) == ("pay", "payments", "clawproof.toml")
    assert said["values"]["ttl"] == {"value": '"90s"', "from": "tools.pay", "file": "clawproof.toml", "line": 17}
    assert said["values"]["locks"]["from"] == "default"
    assert json.loads(run("explain", "nothing", "--format", "json").stdout)["pattern"] is None


def test_a_wrong_file_is_told_as_a_compiler_tells_it(project: Path) -> None:
    (project / "clawproof.toml").write_text('[tools.a]\ntll = 1\nttl = "soon"\n')
    result = run("explain", "a")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        'clawproof.toml:2:1: tools.a: ToolPolicy has no field "tll"; did you mean "ttl"?',
        "    2 | tll = 1",
        "      | ^^^",
        'clawproof.toml:3:7: tools.a.ttl: ttl="soon" is not a duration; write, for example, "30s", "2m" or 1.5.',
        '    3 | ttl = "soon"',
        '      |       ^^^^^^',
        "2 problems.",
    ]  # fmt: skip


# --- schema -----------------------------------------------------------------------------------------------------


def test_schema_is_printed_or_written() -> None:
    assert json.loads(run("schema").stdout) == schema()
    result = run("schema", "-o", "clawproof.schema.json")
    assert json.loads(Path("clawproof.schema.json").read_text()) == schema()
    assert "#:schema ./clawproof.schema.json" in result.stdout


def test_schema_and_explain_import_no_langgraph() -> None:
    program = (
        "import sys\n"
        "from clawproof_langgraph.cli import main\n"
        "main(['explain', 'pay'], standalone_mode=False)\n"
        "main(['schema', '-o', 's.json'], standalone_mode=False)\n"
        "heavy = {'langgraph', 'langchain', 'langchain_core', 'redis', 'sqlglot', 'nowhere_at_all'}\n"
        "sys.exit(' '.join(heavy & {name.partition('.')[0] for name in sys.modules}) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")


# --- the store of the file --------------------------------------------------------------------------------------


def test_every_command_takes_store_and_namespace_from_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Coordinator.from_url(f"sqlite:///{project / 'state.db'}", namespace="shop") as coordinator:
        coordinator.kill("orders", by="test")
    inner = project / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    said = json.loads(run("locks", "--format", "json").stdout)
    assert (said["store"], said["namespace"]) == (f"sqlite:///{project / 'state.db'}", "shop")
    assert [killed["agent"] for killed in said["killed"]] == ["orders"]
    assert json.loads(run("locks", "--format", "json", "--namespace", "empty").stdout)["killed"] == []
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", "empty")
    assert json.loads(run("locks", "--format", "json").stdout)["killed"] == []


def test_a_file_is_named_by_an_option_before_the_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = project / "other.toml"
    other.write_text('url = "sqlite:///there-is-none.db"')
    assert "there-is-none.db" in run("locks", "--config", "other.toml").stderr
    monkeypatch.setenv("CLAWPROOF_CONFIG", str(other))
    assert "there-is-none.db" in run("locks").stderr
    assert "state.db" in run("locks", "--config", "clawproof.toml").stderr
    assert "There is no file nowhere.toml" in run("locks", "--config", "nowhere.toml").stderr


def test_a_hint_repeats_the_file_that_was_named(project: Path) -> None:
    with Coordinator.from_url(f"sqlite:///{project / 'state.db'}", namespace="shop"):
        pass
    assert "clawproof revive orders --config clawproof.toml" in run(
        "kill", "orders", "--config", "clawproof.toml"
    ).stdout.replace("\n", " ")


# --- alerts -----------------------------------------------------------------------------------------------------

NOTE = "from pathlib import Path\ndef note(event): Path('seen').open('a').write(f'{event.data[\"n\"]}\\n')\n"


def test_alerts_in_a_process_of_their_own_deliver_until_they_are_ended(project: Path) -> None:
    (project / "shop_sinks.py").write_text(NOTE)
    process = subprocess.Popen([*MODULE, "alerts"], stdout=subprocess.PIPE, text=True, cwd=project)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("Telling log, shop_sinks:note of Sold in sqlite:///")
        with Coordinator.from_url() as coordinator:
            coordinator.publish("Sold", resource="inventory/1", data={"n": 7})
        assert process.stdout.readline().endswith("Sold in namespace shop: inventory/1; n 7\n")
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    with Coordinator.from_url() as coordinator:
        coordinator.publish("Sold", data={"n": 8})
    done = subprocess.run([*MODULE, "alerts", "--once"], capture_output=True, text=True, cwd=project, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted((project / "seen").read_text().split())[-1] == "8"
    assert done.stdout.splitlines()[-1].startswith("Delivered ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no sinks"),
        ('url = "memory://x"\n[alerts]\nsinks = ["log"]', "lives inside one process"),
        ('[alerts]\nsinks = ["nowhere_at_all:note"]', "clawproof.toml:2:10: alerts.sinks: "),
    ],
)
def test_alerts_that_cannot_be_delivered_are_refused(project: Path, text: str, told: str) -> None:
    (project / "clawproof.toml").write_text(text)
    result = run("alerts")
    assert (result.exit_code, told in result.stderr) == (1, True), result.output


def test_alerts_without_a_file_say_so(project: Path) -> None:
    (project / "clawproof.toml").unlink()
    assert "There is no clawproof.toml" in run("alerts").stderr
