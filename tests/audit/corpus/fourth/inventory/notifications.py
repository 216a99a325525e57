import os
import smtplib
from email.message import EmailMessage

import requests

SLACK_WEBHOOK = os.environ.get("SLACK_WEBHOOK", "https://hooks.slack.com/services/x")


class Notifier:
    def __init__(self, host="localhost", port=25):
        self.host = host
        self.port = port

    def _connect(self):
        return smtplib.SMTP(self.host, self.port)

    def email(self, to, subject, body):
        message = EmailMessage()
        message["To"] = to
        message["Subject"] = subject
        message.set_content(body)
        with self._connect() as smtp:
            smtp.send_message(message)


def slack(text):
    requests.post(SLACK_WEBHOOK, json={"text": text}, timeout=5)
