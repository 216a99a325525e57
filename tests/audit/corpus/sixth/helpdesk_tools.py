from datetime import timedelta

from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import timezone
from langchain_core.tools import tool

from helpdesk.models import Ticket


# expect: safe
@tool
def purge_old_tickets(days: int = 365) -> str:
    """Delete closed tickets that are older than some days."""
    cutoff = timezone.now() - timedelta(days=days)
    count, _ = Ticket.objects.filter(closed=True, updated__lt=cutoff).delete()
    return f"{count} deleted"


def _comment(ticket_id: int, text: str) -> int:
    ticket = Ticket.objects.select_related("queue").get(pk=ticket_id)
    return ticket.comments.create(text=text, author="assistant").pk


# expect: unsafe orm
@tool
async def comment_on_ticket(ticket_id: int, text: str) -> int:
    """Comment on a ticket."""
    return await sync_to_async(_comment)(ticket_id, text)


# expect: safe
@tool
def set_priority(ticket_id: int, priority: str) -> str:
    """Set the priority of a ticket."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE helpdesk_ticket SET priority = %s WHERE id = %s", [priority, ticket_id])
    return "set"
