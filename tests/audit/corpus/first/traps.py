"""Tools that look like something they are not."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

from langchain_core.tools import tool


@dataclass
class Blog:
    posts: list = field(default_factory=list)

    def post(self, title: str) -> str:
        return title.title()

    def patch(self, text: str) -> str:
        return text.strip()


@dataclass
class Cart:
    items: dict = field(default_factory=dict)

    def add(self, name: str) -> "Cart":
        return Cart({**self.items, name: 1})


class Scheduler:
    def execute(self, command: str) -> str:
        return command.lower()


# expect: read
@tool
def unique_words(text: str) -> list[str]:
    """Find the words of a text."""
    seen = set()
    for word in text.split():
        seen.add(word)
    return sorted(seen)


# expect: read
@tool
def merged(options: dict) -> dict:
    """Merge options with defaults."""
    result = {"a": 1}
    result.update(options)
    result["b"] = result.get("b", 0) + 1
    return result


# expect: read
@tool
def preview(title: str) -> str:
    """Preview a post of the blog."""
    blog = Blog()
    return blog.post(title) + blog.patch(title)


# expect: read
@tool
def explain_sql(question: str) -> str:
    """Explain SQL.

    INSERT INTO orders VALUES (1) adds a row; UPDATE stock SET n = n - 1 takes one.
    """
    example = "INSERT INTO orders (id) VALUES (1)"
    return f"To add a row write: {example}"


# expect: read
@tool
def total(items: list[dict]) -> int:
    """Add up."""
    count = 0
    counts = Counter()
    for item in items:
        count += item["n"]
        counts[item["sku"]] += 1
    return count


# expect: read
@tool
def cart_preview(name: str) -> int:
    """Preview a cart."""
    cart = Cart()
    return len(cart.add(name).items)


# expect: read
@tool
def digest(text: str) -> str:
    """Hash a text."""
    h = hashlib.sha256()
    h.update(text.encode())
    return h.hexdigest()


# expect: read
@tool
def parse_insert(statement: str) -> str:
    """Find the table of an INSERT statement."""
    match = re.search(r"INSERT INTO (\w+)", statement)
    return match.group(1) if match else ""


# expect: read
@tool
def normalise(command: str) -> str:
    """Normalise a command for the scheduler."""
    return Scheduler().execute("run nightly job " + command)


# expect: read
@tool
def collect(values: list[int]) -> list[int]:
    """Collect values."""
    result = []
    for value in values:
        result.append(value)
        result.insert(0, value)
    result.extend(values)
    return result
