import email
import imaplib
import smtplib
import sqlite3
from email.mime.text import MIMEText
from pathlib import Path

from django.core.mail import EmailMultiAlternatives
from langchain_core.tools import tool
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail

from support.mailer import compose, deliver

DRAFTS = Path("drafts")


# expect: unsafe mail
@tool
def send_welcome(address: str, name: str) -> str:
    """Send the welcome mail."""
    msg = MIMEText(f"Hello {name},\n\nwelcome on board.")
    msg["Subject"] = "Welcome"
    msg["From"] = "hello@acme.example"
    msg["To"] = address
    server = smtplib.SMTP("localhost", 25)
    server.starttls()
    server.sendmail("hello@acme.example", [address], msg.as_string())
    server.quit()
    return "sent"


# expect: unsafe mail
@tool
def answer_customer(address: str, subject: str, body: str) -> str:
    """Answer a customer by mail."""
    deliver(compose(address, f"Re: {subject}", body))
    return f"answered {address}"


# expect: unsafe mail
@tool
def send_notice(address: str, html: str) -> str:
    """Send a notice through SendGrid."""
    message = Mail(from_email="notice@acme.example", to_emails=address, subject="Notice", html_content=html)
    try:
        response = SendGridAPIClient("SG.key").send(message)
        return f"status {response.status_code}"
    except Exception as e:
        return f"could not send: {e}"


# expect: safe
@tool
def draft_answer(ticket: str, address: str, subject: str, body: str) -> str:
    """Prepare an answer as a draft for a human to send."""
    msg = compose(address, subject, body)
    path = DRAFTS / f"{ticket}.eml"
    path.write_bytes(msg.as_bytes())
    return f"draft at {path}"


# expect: read
@tool
def unread_mail(limit: int = 10) -> list[str]:
    """Show the subjects of unread mail."""
    with imaplib.IMAP4_SSL("imap.acme.example") as box:
        box.login("support", "secret")
        box.select("INBOX", readonly=True)
        _, data = box.search(None, "UNSEEN")
        subjects = []
        for num in data[0].split()[-limit:]:
            _, parts = box.fetch(num, "(BODY.PEEK[HEADER])")
            subjects.append(email.message_from_bytes(parts[0][1])["Subject"])
    return subjects


# expect: safe
@tool
def send_invoice_mail(invoice_no: str, address: str) -> str:
    """Mail an invoice to the customer; each invoice is mailed once."""
    with sqlite3.connect("mail.db") as db:
        cur = db.execute("INSERT OR IGNORE INTO mailed (invoice_no) VALUES (?)", (invoice_no,))
        if cur.rowcount == 0:
            return "this invoice was mailed before"
        deliver(compose(address, f"Invoice {invoice_no}", "Please find your invoice online."))
    return "mailed"


# expect: unsafe mail
@tool
def send_newsletter(addresses: list[str], subject: str, text: str, html: str) -> str:
    """Send the newsletter to a list of addresses."""
    for address in addresses:
        mail = EmailMultiAlternatives(subject, text, "news@acme.example", [address])
        mail.attach_alternative(html, "text/html")
        mail.send(fail_silently=False)
    return f"{len(addresses)} sent"
