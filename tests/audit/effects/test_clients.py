"""Clients of services are known by what makes them, also where a helper does and is told which."""

import pytest

from tests.audit.effects.sources import writes_in

HELPERS = {
    "a name that is passed": """
        def client(name, region="eu-west-1"):
            return boto3.client(name, region_name=region)
        def tool(a):
            client("sqs").send_message(QueueUrl="q", MessageBody=a)
    """,
    "a default": """
        def client(service_name="sqs"):
            return boto3.client(service_name)
        def tool(a):
            client().send_message(QueueUrl="q", MessageBody=a)
    """,
    "a method": """
        class Aws:
            def client(self, name):
                return boto3.Session().client(service_name=name)
        def tool(a):
            Aws().client("sqs").send_message(QueueUrl="q", MessageBody=a)
    """,
}


@pytest.mark.parametrize("text", HELPERS.values(), ids=HELPERS)
def test_a_helper_makes_a_client_of_the_service_that_it_is_told(text: str) -> None:
    [touch] = writes_in(f"        import boto3\n{text}")

    assert (touch.what, touch.repeatable) == ("sqs.send_message", False)


def test_a_client_of_an_unknown_service_is_judged_by_its_methods() -> None:
    [touch] = writes_in("""
        import boto3, os
        def tool(a):
            boto3.client(os.environ["SERVICE"]).send_message(QueueUrl="q", MessageBody=a)
    """)

    assert touch.repeatable is False


def test_a_resource_of_boto3_is_a_client_too() -> None:
    [touch] = writes_in("""
        import boto3
        def tool(n):
            boto3.resource("ec2").create_instances(ImageId="ami-1", MinCount=n, MaxCount=n)
    """)

    assert (touch.what, touch.repeatable) == ("ec2.create_instances", False)


@pytest.mark.parametrize(
    "call",
    [
        'getattr(session, "post")("https://x.example/orders", json=a)',
        'send = getattr(session, "POST".lower())\n            send("https://x.example/orders", json=a)',
        'send = session.post\n            send("https://x.example/orders", json=a)',
        'api("POST", json=a)',
    ],
)
def test_a_method_that_is_taken_by_its_name_is_the_one_that_is_called(call: str) -> None:
    [touch] = writes_in(f"""
        import requests
        session = requests.Session()
        def api(method, **given):
            return getattr(session, method.lower())("https://x.example/orders", **given)
        def tool(a):
            {call}
    """)

    assert (touch.what, touch.repeatable) == ("POST https://x.example/orders", False)


def test_a_method_whose_name_is_not_known_is_not_guessed() -> None:
    touches = writes_in("""
        import requests
        def tool(method):
            getattr(requests, method)("https://x.example/orders")
    """)

    assert not touches


S3 = 's3.get_object(Bucket="b", Key="{}")["Body"].read()'


@pytest.mark.parametrize(
    ("body", "repeatable"),
    [
        ('item = table.get_item(Key=a)["Item"]; item["n"] -= 1; table.put_item(Item=item)', False),
        ('item = table.get_item(Key=a)["Item"]; item["n"] = a; table.put_item(Item=item)', True),
        ('item = table.get_item(Key=a)["Item"]; item["log"].append(a); table.put_item(Item=item)', False),
        (f'old = {S3.format("x")}; s3.put_object(Bucket="b", Key="x", Body=old + a)', False),
        (f'old = {S3.format("y")}; s3.put_object(Bucket="b", Key="x", Body=old + a)', True),
        (f'all = json.loads({S3.format("x")}); all.append(a); '
         's3.put_object(Bucket="b", Key="x", Body=json.dumps(all))', False),
        (f'all = json.loads({S3.format("x")}); all["a"] = a; '
         's3.put_object(Bucket="b", Key="x", Body=json.dumps(all))', True),
        ('one = res.Object("b", "x"); old = one.get()["Body"].read(); one.put(Body=old + a)', False),
        ('one = res.Object("b", "x"); old = one.get()["Body"].read(); one.put(Body=old.strip())', True),
    ],
)  # fmt: skip
def test_an_object_or_an_item_grows_where_it_is_read_added_to_and_put_again(body: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""
import boto3, json
s3, res = boto3.client("s3"), boto3.resource("s3")
table = boto3.resource("dynamodb").Table("t")

def tool(a):
    {body}
""")

    assert (touch.kind, touch.repeatable) == ("cloud", repeatable)


@pytest.mark.parametrize(
    ("change", "repeatable"),
    [
        ('data["n"] += a', False),
        ('data["tags"].append(a)', False),
        ('data["n"] = a', True),
        ('if a not in data["tags"]: data["tags"].append(a)', True),
    ],
)
@pytest.mark.parametrize(
    ("read", "write"),
    [
        ('client.get("https://x.example/1").json()', 'client.put("https://x.example/1", json=data)'),
        ('json.loads(r.get("x"))', 'r.set("x", json.dumps(data))'),
    ],
    ids=["http", "redis"],
)
def test_what_was_read_and_changed_in_place_is_written_back(
    read: str, write: str, change: str, repeatable: bool
) -> None:
    [touch] = writes_in(f"""
import httpx, json, redis
client, r = httpx.Client(), redis.Redis()

def tool(a):
    data = {read}
    {change}
    {write}
""")

    assert touch.repeatable is repeatable


@pytest.mark.parametrize(
    ("given", "repeatable"), [('key=f"order-{a}"', True), ("key=None", False), ("", False), ("key=new()", False)]
)
def test_a_key_that_the_caller_passes_stands_for_the_new_one_that_would_be_made(given: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""
import httpx, uuid

def new():
    return str(uuid.uuid4())

def charge(a, key=None):
    return httpx.post("https://x.example", json=a, headers={{"Idempotency-Key": key or str(uuid.uuid4())}})

def tool(a):
    charge(a, {given})
""")

    assert touch.repeatable is repeatable


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ('slack.api_call("chat.postMessage", json={"channel": "c", "text": a})', "message"),
        ("slack.chat_postMessage(channel='c', text=a)", "message"),
        ('Client("a", "b").messages.create_async(to=a, body="x")', "message"),
        ("SendGridAPIClient('k').client.mail.send.post(request_body=a)", "mail"),
    ],
)
def test_what_sends_is_found_by_whatever_name_the_library_has_for_it(call: str, kind: str) -> None:
    [touch] = writes_in(f"""
from sendgrid import SendGridAPIClient
from slack_sdk import WebClient
from twilio.rest import Client
slack = WebClient(token="t")

def tool(a):
    {call}
""")

    assert (touch.kind, touch.repeatable) == (kind, False)


def test_a_method_that_is_named_and_sends_nothing_is_left_alone() -> None:
    assert not writes_in("""
        from slack_sdk import WebClient
        def tool(a):
            WebClient(token="t").api_call("users.info", params={"user": a})
    """)


@pytest.mark.parametrize(
    ("call", "unsafe"),
    [
        ('users().messages().send(userId="me", body=a)', True),
        ('events().insert(calendarId="c", body=a)', True),
        ('spreadsheets().values().append(spreadsheetId="s", body=a)', True),
        ('spreadsheets().values().update(spreadsheetId="s", body=a)', False),
        ('users().messages().list(userId="me", q=a)', False),
    ],
)
def test_what_google_adds_is_found_however_deep_its_resource_lies(call: str, unsafe: bool) -> None:
    touches = writes_in(f"""
from googleapiclient.discovery import build

def tool(a):
    build("x", "v1").{call}.execute()
""")

    assert any(touch.repeatable is False for touch in touches) is unsafe
