from django.core.mail import send_mail
from django.db import connection, models, transaction
from django.db.models import F
from langchain_core.tools import tool

from crm.models import Activity, Contact, Deal


class Wallet(models.Model):
    owner = models.CharField(max_length=40, unique=True)
    balance = models.IntegerField(default=0)


# expect: unsafe orm
@tool
def add_activity(contact_id: int, text: str) -> str:
    """Write an activity for a contact."""
    activity = Activity.objects.create(contact_id=contact_id, text=text)
    return f"activity {activity.pk}"


# expect: safe
@tool
def ensure_contact(email: str, name: str) -> int:
    """Find a contact by its address, or make it."""
    contact, _ = Contact.objects.get_or_create(email=email, defaults={"name": name})
    return contact.pk


# expect: safe
@tool
def update_contact(email: str, name: str) -> str:
    """Write a contact."""
    Contact.objects.update_or_create(email=email, defaults={"name": name})
    return "ok"


# expect: unsafe orm
@tool
def top_up(owner: str, cents: int) -> str:
    """Put money into a wallet."""
    Wallet.objects.filter(owner=owner).update(balance=F("balance") + cents)
    return "done"


# expect: unsafe orm
@tool
def spend(owner: str, cents: int) -> str:
    """Take money from a wallet."""
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(owner=owner)
        wallet.balance = wallet.balance - cents
        wallet.save(update_fields=["balance"])
    return "spent"


# expect: safe
@tool
def win_deal(deal_id: int) -> str:
    """Mark a deal as won."""
    deal = Deal.objects.get(pk=deal_id)
    deal.stage = "won"
    deal.save()
    return "won"


# expect: safe
@tool
def assign_deals(ids: list[int], owner: str) -> int:
    """Assign deals to an owner."""
    return Deal.objects.filter(pk__in=ids).update(owner=owner)


# expect: unsafe orm
@tool
def import_contacts(rows: list[dict]) -> str:
    """Import contacts."""
    Contact.objects.bulk_create([Contact(**row) for row in rows])
    return "imported"


# expect: safe
@tool
def import_new_contacts(rows: list[dict]) -> str:
    """Import contacts that are new."""
    Contact.objects.bulk_create([Contact(**row) for row in rows], ignore_conflicts=True)
    return "imported"


# expect: unsafe orm
@tool
def note_call(contact_id: int) -> str:
    """Note a call with a contact."""
    activity = Activity(contact_id=contact_id, text="called")
    activity.save()
    return "noted"


# expect: unsafe sql
@tool
def raw_bonus(team: str) -> str:
    """Give a bonus to a team."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crm_member SET bonus = bonus + 100 WHERE team = %s", [team])
    return "given"


# expect: safe
@tool
def forget_contact(email: str) -> str:
    """Delete a contact."""
    Contact.objects.filter(email=email).delete()
    return "deleted"


# expect: unsafe mail
@tool
def mail_contact(email: str, subject: str, body: str) -> str:
    """Mail a contact."""
    send_mail(subject, body, "sales@example.com", [email])
    return "sent"


# expect: read
@tool
def find_deals(stage: str) -> list:
    """List deals of a stage."""
    return list(Deal.objects.filter(stage=stage).values("id", "name"))
