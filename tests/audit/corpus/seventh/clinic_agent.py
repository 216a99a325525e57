"""Tools of the clinic's assistant, with SQLAlchemy's sessions."""

from langchain_core.tools import tool
from sqlalchemy import delete, select, update

from clinic.db import AsyncSessionLocal, SessionLocal, get_db, session_scope, with_session
from clinic.models import Appointment, Note, Patient
from clinic.repository import AppointmentRepository, PatientRepository


# expect: unsafe orm
@tool
def book(patient_id: int, slot: str) -> str:
    """Book an appointment."""
    with get_db() as db:
        appointment = Appointment(patient_id=patient_id, slot=slot)
        db.add(appointment)
        db.flush()
        return f"Booked as {appointment.id}."


# expect: unsafe orm
@tool
def write_note(email: str, body: str) -> str:
    """Write a note about a patient."""
    with get_db() as db:
        patients = PatientRepository(db)
        patient = patients.by_email(email)
        if not patient:
            return "Unknown patient."
        patients.add_note(patient.id, body)
    return "Noted."


# expect: safe
@tool
def rename_patient(email: str, name: str) -> str:
    """Change the name of a patient."""
    with get_db() as db:
        PatientRepository(db).rename(email, name)
    return "Renamed."


# expect: safe
@tool
def register(email: str, name: str) -> str:
    """Register a patient once."""
    with SessionLocal() as session:
        patient = PatientRepository(session).register(email, name)
        session.commit()
        return f"Patient {patient.id}."


# expect: unsafe orm
@tool
async def book_later(patient_id: int, slot: str) -> str:
    """Book an appointment."""
    async with session_scope() as session:
        appointment = await AppointmentRepository(session).create(patient_id=patient_id, slot=slot)
    return f"Booked as {appointment.id}."


# expect: safe
@tool
async def cancel(appointment_id: int) -> str:
    """Cancel an appointment."""
    async with session_scope() as session:
        done = await AppointmentRepository(session).cancel(appointment_id)
    return "Cancelled." if done else "There is none."


# expect: unsafe orm
@tool
async def charge(patient_id: int, amount: float) -> str:
    """Charge a patient."""
    async with AsyncSessionLocal() as session:
        patient = await session.get(Patient, patient_id, with_for_update=True)
        if patient is None:
            return "Unknown patient."
        patient.balance -= amount
        await session.commit()
        return f"Balance {patient.balance}."


# expect: unsafe orm
@tool
async def count_visit(email: str) -> str:
    """Count a visit."""
    async with AsyncSessionLocal() as session:
        await session.execute(update(Patient).where(Patient.email == email).values(visits=Patient.visits + 1))
        await session.commit()
    return "Counted."


# expect: unsafe orm
@tool
def note_for(patient_id: int, body: str) -> str:
    """Attach a note."""
    session = SessionLocal()
    try:
        patient = session.execute(select(Patient).where(Patient.id == patient_id)).scalar_one()
        patient.notes.append(Note(body=body))
        session.commit()
    except Exception as exc:
        session.rollback()
        return f"Failed: {exc}"
    finally:
        session.close()
    return "Attached."


# expect: safe
@tool
def clear_notes(patient_id: int) -> str:
    """Remove all notes of a patient."""
    with SessionLocal.begin() as session:
        session.execute(delete(Note).where(Note.patient_id == patient_id))
    return "Removed."


# expect: safe
@tool
def sync_patient(patient_id: int, email: str, name: str) -> str:
    """Store a patient under a number that is given."""
    with get_db() as db:
        db.merge(Patient(id=patient_id, email=email, name=name))
    return "Stored."


# expect: unsafe orm
@tool
@with_session
def bulk_notes(session, patient_id: int, bodies: list[str]) -> str:
    """Write several notes."""
    session.add_all([Note(patient_id=patient_id, body=body) for body in bodies])
    return f"{len(bodies)} written."


# expect: read
@tool
async def find_patient(name: str) -> str:
    """Search patients."""
    async with AsyncSessionLocal() as session:
        found = await session.scalars(select(Patient).where(Patient.name.ilike(f"%{name}%")).limit(5))
        lines = []
        for patient in found:
            lines.append(f"{patient.id}: {patient.name}")
    return "\n".join(lines)
