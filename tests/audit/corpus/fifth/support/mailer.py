import os
import smtplib
import ssl
from email.message import EmailMessage

SMTP_HOST = os.getenv("SMTP_HOST", "localhost")


def compose(to: str, subject: str, body: str) -> EmailMessage:
    msg = EmailMessage()
    msg["To"] = to
    msg["From"] = "support@acme.example"
    msg["Subject"] = subject
    msg.set_content(body)
    return msg


def deliver(msg: EmailMessage) -> None:
    with smtplib.SMTP_SSL(SMTP_HOST, 465, context=ssl.create_default_context()) as server:
        server.login(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
        server.send_message(msg)
