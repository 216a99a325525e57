import os

import aiosmtplib
import openpyxl
import yaml
from email.message import EmailMessage
from langchain_core.tools import tool

BASE = os.path.join(os.path.expanduser("~"), "notes")
MODE = "a+"


# expect: unsafe file
@tool
def note_decision(decision: str, reason: str) -> str:
    """Note a decision of the team."""
    with open(os.path.join(BASE, "decisions.txt"), MODE) as out:
        print(f"{decision}: {reason}", file=out)
    return "noted"


# expect: unsafe file
@tool
def add_to_sheet(name: str, row: list[str]) -> str:
    """Add a row to a workbook."""
    path = os.path.join(BASE, f"{name}.xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book.active
    sheet.append(row)
    book.save(path)
    return f"{sheet.max_row} rows"


# expect: safe
@tool
def set_option(name: str, value: str) -> str:
    """Set an option in options.yaml."""
    path = os.path.join(BASE, "options.yaml")
    with open(path) as f:
        options = yaml.safe_load(f) or {}
    options.update({name: value})
    with open(path, "w") as f:
        yaml.safe_dump(options, f, sort_keys=True)
    return "set"


# expect: safe
@tool
def ignore_pattern(pattern: str) -> str:
    """Add a pattern to .gitignore unless it is there."""
    path = os.path.join(BASE, ".gitignore")
    with open(path) as f:
        lines = f.read().splitlines()
    if pattern in lines:
        return "is there"
    with open(path, "a") as f:
        f.write(pattern + "\n")
    return "added"


# expect: unsafe mail
@tool
async def mail_note(to: str, subject: str, text: str) -> str:
    """Mail a note to somebody."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "notes@acme.example", to, subject
    message.set_content(text)
    await aiosmtplib.send(message, hostname="localhost", port=1025)
    return "mailed"
