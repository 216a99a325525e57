"""What the tools ask of the tables."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from .models import Appointment, Note, Patient


class PatientRepository:
    def __init__(self, session: Session):
        self.session = session

    def by_email(self, email: str) -> Patient | None:
        return self.session.scalars(select(Patient).where(Patient.email == email)).one_or_none()

    def add_note(self, patient_id: int, body: str) -> Note:
        note = Note(patient_id=patient_id, body=body)
        self.session.add(note)
        self.session.flush()
        return note

    def rename(self, email: str, name: str) -> None:
        self.session.execute(update(Patient).where(Patient.email == email).values(name=name))

    def register(self, email: str, name: str) -> Patient:
        patient = self.by_email(email)
        if patient is None:
            patient = Patient(email=email, name=name)
            self.session.add(patient)
        return patient


class AppointmentRepository:
    def __init__(self, session):
        self.session = session

    async def create(self, **fields) -> Appointment:
        appointment = Appointment(**fields)
        self.session.add(appointment)
        await self.session.flush()
        return appointment

    async def cancel(self, appointment_id: int) -> bool:
        appointment = await self.session.get(Appointment, appointment_id)
        if appointment is None:
            return False
        appointment.status = "cancelled"
        return True
