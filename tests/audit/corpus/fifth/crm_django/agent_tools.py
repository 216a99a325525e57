from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.shortcuts import get_object_or_404
from langchain_core.tools import tool

from .models import Label, Subscription, Ticket, Wallet


# expect: unsafe orm
@tool
def open_ticket(subject: str, body: str = "") -> int:
    """Open a support ticket."""
    ticket = Ticket(subject=subject, body=body)
    ticket.full_clean()
    ticket.save()
    return ticket.pk


# expect: safe
@tool
def assign_ticket(ticket_id: int, assignee: str) -> str:
    """Assign a ticket to a person."""
    changed = Ticket.objects.filter(pk=ticket_id).exclude(status=Ticket.Status.CLOSED).update(assignee=assignee)
    return "assigned" if changed else "not found or closed"


# expect: unsafe orm
@tool
async def upvote_ticket(ticket_id: int) -> str:
    """Vote for a ticket."""
    await Ticket.objects.filter(id=ticket_id).aupdate(votes=F("votes") + 1)
    return "voted"


# expect: safe
@tool
def subscribe(email: str, topic: str) -> str:
    """Subscribe an address to a topic."""
    _, created = Subscription.objects.get_or_create(email=email.lower(), topic=topic)
    return "subscribed" if created else "was subscribed already"


# expect: unsafe orm
@tool
def credit_wallet(user_id: int, amount: str) -> str:
    """Credit the wallet of a user."""
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(user_id=user_id)
        wallet.balance = wallet.balance + Decimal(amount)
        wallet.save(update_fields=["balance"])
    return str(wallet.balance)


# expect: safe
@tool
def close_ticket(ticket_id: int, resolution: str) -> str:
    """Close a ticket with a resolution."""
    ticket = get_object_or_404(Ticket, pk=ticket_id)
    ticket.status = Ticket.Status.CLOSED
    ticket.body = resolution
    ticket.save(update_fields=["status", "body"])
    return "closed"


# expect: safe
@tool
def label_ticket(ticket_id: int, label: str) -> str:
    """Put a label on a ticket."""
    ticket = Ticket.objects.get(pk=ticket_id)
    obj, _ = Label.objects.get_or_create(name=label)
    ticket.labels.add(obj)
    return ", ".join(ticket.labels.values_list("name", flat=True))
