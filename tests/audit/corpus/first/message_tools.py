import os
import smtplib
from email.message import EmailMessage

import redis
import sendgrid
from langchain_core.tools import tool
from sendgrid.helpers.mail import Mail
from slack_sdk import WebClient
from twilio.rest import Client

slack = WebClient(token=os.environ.get("SLACK_TOKEN"))
r = redis.Redis(decode_responses=True)
STOCK: dict[str, int] = {"sku-1": 10}
ORDERS: list[dict] = []
PRICES: dict[str, float] = {}
_counter = 0


# expect: unsafe mail
@tool
def send_mail(to: str, subject: str, body: str) -> str:
    """Send a mail."""
    msg = EmailMessage()
    msg["To"], msg["Subject"] = to, subject
    msg.set_content(body)
    with smtplib.SMTP("localhost") as server:
        server.send_message(msg)
    return "sent"


# expect: unsafe message
@tool
def post_to_slack(channel: str, text: str) -> str:
    """Post to a channel."""
    slack.chat_postMessage(channel=channel, text=text)
    return "posted"


# expect: unsafe message
@tool
def send_sms(to: str, text: str) -> str:
    """Send an SMS."""
    client = Client(os.environ["TWILIO_SID"], os.environ["TWILIO_TOKEN"])
    client.messages.create(to=to, from_="+1555", body=text)
    return "sent"


# expect: unsafe mail
@tool
def send_newsletter(to: str) -> str:
    """Send the newsletter."""
    sg = sendgrid.SendGridAPIClient(os.environ["SENDGRID_KEY"])
    sg.send(Mail(from_email="news@example.com", to_emails=to, subject="News", html_content="<p>News</p>"))
    return "sent"


# expect: unsafe store
@tool
def count_call(name: str) -> int:
    """Count."""
    return r.incr(f"calls:{name}")


# expect: safe
@tool
def set_flag(name: str, value: str) -> str:
    """Set a flag."""
    r.set(f"flag:{name}", value)
    return "set"


# expect: unsafe store
@tool
def push_task(task: str) -> str:
    """Push a task."""
    r.lpush("tasks", task)
    return "pushed"


# expect: safe
@tool
def add_member(group: str, name: str) -> str:
    """Add a member to a group."""
    r.sadd(f"group:{group}", name)
    return "added"


# expect: unsafe memory
@tool
def take_from_memory(sku: str, units: int) -> str:
    """Take units."""
    if STOCK[sku] < units:
        return "not enough"
    STOCK[sku] -= units
    return "taken"


# expect: unsafe memory
@tool
def order_in_memory(sku: str) -> str:
    """Order something."""
    ORDERS.append({"sku": sku, "status": "open"})
    return "ordered"


# expect: safe
@tool
def price_in_memory(sku: str, price: float) -> str:
    """Set a price."""
    PRICES[sku] = price
    return "set"


# expect: unsafe memory
@tool
def next_number() -> int:
    """Give the next number."""
    global _counter
    _counter += 1
    return _counter
