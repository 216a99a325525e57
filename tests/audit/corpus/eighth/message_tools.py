import os
import smtplib
import ssl
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import redis
from langchain_core.tools import tool
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from twilio.rest import Client as Twilio

from app.settings import get_settings

slack = WebClient(token=os.environ["SLACK_TOKEN"])
cache = redis.Redis.from_url(get_settings().redis_url, decode_responses=True)


def compose(to: str, subject: str, body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "agent@example.com"
    message["To"] = to
    message["Subject"] = subject
    message.set_content(body)
    return message


def deliver(message) -> None:
    context = ssl.create_default_context()
    with smtplib.SMTP_SSL(get_settings().mail_host, 465, context=context) as server:
        server.login(os.environ["MAIL_USER"], os.environ["MAIL_PASSWORD"])
        server.send_message(message)


# expect: unsafe mail
@tool
def email_customer(to: str, subject: str, body: str) -> str:
    """Send a mail to a customer."""
    try:
        deliver(compose(to, subject, body))
    except smtplib.SMTPException as error:
        return f"not sent: {error}"
    return f"sent to {to}"


# expect: safe
@tool
def draft_email(to: str, subject: str, body: str) -> str:
    """Draft a mail, for the user to look at."""
    message = MIMEMultipart()
    message["To"], message["Subject"] = to, subject
    message.attach(MIMEText(body, "plain"))
    return message.as_string()


# expect: unsafe mail
@tool
def send_offer(to: str, text: str) -> str:
    """Send an offer by mail."""
    mail = Mail(from_email="sales@example.com", to_emails=[to], subject="Our offer", plain_text_content=text)
    response = SendGridAPIClient(os.environ.get("SENDGRID_API_KEY")).send(mail)
    return f"status {response.status_code}"


# expect: unsafe message
@tool
def ask_channel(channel: str, question: str) -> str:
    """Ask a question in a channel."""
    try:
        reply = slack.chat_postMessage(channel=channel, text=question, unfurl_links=False)
    except SlackApiError as error:
        return f"Slack refused: {error.response['error']}"
    return reply["ts"]


# expect: safe
@tool
async def edit_message(channel: str, ts: str, text: str) -> str:
    """Change the text of a message."""
    await AsyncWebClient(token=os.environ["SLACK_TOKEN"]).chat_update(channel=channel, ts=ts, text=text)
    return "changed"


class Phone:
    def __init__(self) -> None:
        self.client = Twilio(os.environ["TWILIO_SID"], os.environ["TWILIO_TOKEN"])

    def text(self, number: str, body: str) -> str:
        return self.client.messages.create(to=number, from_=os.environ["TWILIO_FROM"], body=body).sid


# expect: unsafe message
@tool
def text_customer(number: str, body: str) -> str:
    """Send a text message to a customer."""
    return Phone().text(number, body)


# expect: unsafe store
@tool
def vote(poll: str, option: str) -> str:
    """Count a vote."""
    with cache.pipeline() as pipe:
        pipe.hincrby(f"poll:{poll}", option, 1)
        pipe.expire(f"poll:{poll}", 86400)
        count, _ = pipe.execute()
    return f"{option} has {count} votes"


# expect: safe
@tool
def set_flag(name: str, on: bool) -> str:
    """Switch a feature on or off."""
    cache.set(f"flag:{name}", "1" if on else "0", ex=3600)
    return "set"


# expect: unsafe store
@tool
def push_event(stream: str, kind: str, text: str) -> str:
    """Put an event onto a stream."""
    return cache.xadd(f"events:{stream}", {"kind": kind, "text": text}, maxlen=1000)
