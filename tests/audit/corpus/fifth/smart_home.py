import httpx
from langchain_core.tools import tool


class HomeHub:
    """Client of the home hub's REST API."""

    def __init__(self, host: str, token: str):
        self._client = httpx.AsyncClient(base_url=f"http://{host}/api", headers={"X-Token": token})

    async def _call(self, method: str, path: str, **kw):
        response = await self._client.request(method, path, **kw)
        response.raise_for_status()
        return response.json()

    async def target(self, room: str, celsius: float):
        return await self._call("PUT", f"/rooms/{room}/target", json={"celsius": celsius})

    async def announce(self, text: str):
        return await self._call("POST", "/announcements", json={"text": text})

    async def climate(self, room: str):
        return await self._call("GET", f"/rooms/{room}/climate")


hub = HomeHub("hub.local", "secret")


# expect: safe
@tool
async def set_thermostat(room: str, celsius: float) -> dict:
    """Set the target temperature of a room."""
    return await hub.target(room, celsius)


# expect: unsafe http
@tool
async def announce(text: str) -> dict:
    """Say something on all speakers."""
    return await hub.announce(text)


# expect: read
@tool
async def room_climate(room: str) -> dict:
    """Read temperature and humidity of a room."""
    return await hub.climate(room)
