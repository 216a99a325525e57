import json
import urllib.parse
import urllib.request
from urllib.request import Request, urlopen

import aiohttp
from langchain_core.tools import tool

API = "https://booking.example.com"


async def send_json(verb: str, path: str, body: dict) -> dict:
    async with aiohttp.ClientSession(base_url=API, raise_for_status=True) as session:
        async with session.request(verb, path, json=body) as response:
            return await response.json()


# expect: unsafe http
@tool
async def book_room(room: str, day: str, guests: int) -> str:
    """Book a room."""
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(
        f"{API}/bookings", json={"room": room, "day": day, "guests": guests}
    ) as response:
        data = await response.json()
    return f"Booked: {data['id']}"


# expect: safe
@tool
async def set_guests(booking: str, guests: int) -> str:
    """Set how many guests come."""
    data = await send_json("PUT", f"/bookings/{booking}/guests", {"guests": guests})
    return str(data)


# expect: unsafe http
@tool
def trigger_hook(event: str, text: str) -> str:
    """Trigger a webhook."""
    body = json.dumps({"event": event, "text": text}).encode()
    request = Request(f"{API}/hooks", data=body, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=5) as reply:
        return reply.read().decode()


# expect: read
@tool
def check_room(room: str, day: str) -> str:
    """Check whether a room is free."""
    query = urllib.parse.urlencode({"room": room, "day": day})
    with urllib.request.urlopen(f"{API}/free?{query}") as reply:
        return json.load(reply)["state"]


# expect: safe
@tool
def cancel_booking(booking: str) -> str:
    """Cancel a booking."""
    request = Request(f"{API}/bookings/{urllib.parse.quote(booking)}", method="DELETE")
    urlopen(request).close()
    return "cancelled"
