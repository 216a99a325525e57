"""CRM tools, SQLAlchemy ORM."""

from langchain_core.tools import tool
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from orm_models import Activity, Contact, Quote, SessionLocal, Tag, async_session


def _tag(db: Session, name: str) -> Tag:
    found = db.execute(select(Tag).where(Tag.name == name)).scalar_one_or_none()
    if found is None:
        found = Tag(name=name)
        db.add(found)
        db.flush()
    return found


# expect: unsafe orm
@tool
def create_contact(name: str, email: str) -> str:
    """Create a contact in the CRM."""
    db = SessionLocal()
    try:
        contact = Contact(name=name, email=email)
        db.add(contact)
        db.commit()
        db.refresh(contact)
        return f"contact {contact.id} created"
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


# expect: safe
@tool
async def rename_contact(contact_id: int, name: str) -> str:
    """Change the name of a contact."""
    async with async_session() as db:
        contact = await db.get(Contact, contact_id)
        if contact is None:
            return "no such contact"
        contact.name = name
        await db.commit()
    return "renamed"


# expect: safe
@tool
def ensure_tag(name: str) -> int:
    """Return the id of a tag, making it when it does not exist."""
    with SessionLocal.begin() as db:
        return _tag(db, name.strip().lower()).id


# expect: unsafe orm
@tool
def add_lead_score(contact_id: int, points: int) -> str:
    """Add points to the lead score of a contact."""
    with SessionLocal() as db:
        contact = db.scalars(select(Contact).filter_by(id=contact_id)).one()
        contact.score += points
        db.commit()
        return f"score {contact.score}"


# expect: safe
@tool
def tag_contact(contact_id: int, tag: str) -> str:
    """Put a tag on a contact."""
    with SessionLocal() as db:
        contact = db.get(Contact, contact_id, options=[selectinload(Contact.tags)])
        wanted = _tag(db, tag)
        if wanted not in contact.tags:
            contact.tags.append(wanted)
        db.commit()
    return "tagged"


# expect: unsafe orm
@tool
async def log_activity(contact_id: int, text: str) -> str:
    """Log a call, a meeting or a mail with a contact."""
    async with async_session.begin() as db:
        contact = await db.get(Contact, contact_id, options=[selectinload(Contact.activities)])
        contact.activities.append(Activity(text=text))
    return "logged"


# expect: unsafe orm
@tool
def apply_discount(quote_id: int, percent: float) -> str:
    """Give a discount on a quote."""
    with SessionLocal() as db:
        quote = db.query(Quote).filter(Quote.id == quote_id).one_or_none()
        if quote is None:
            return "quote not found"
        quote.total = round(quote.total * (1 - percent / 100), 2)
        db.commit()
    return f"new total {quote.total}"
