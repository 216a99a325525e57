"""Classes with a table are known by what they are derived from, in whichever module that stands."""

import pytest

from tests.audit.effects.sources import writes_in

LOAN = {
    "a base in the module itself": "from django.db import models\nclass Loan(models.Model): pass",
    "a base by its own name": "from django.db.models import Model\nclass Loan(Model): pass",
    "a base of the project": """
from django.db import models
class Dated(models.Model):
    day = models.DateField()
class Loan(Dated): pass""",
    "a base of an extension": "from model_utils.models import TimeStampedModel\nclass Loan(TimeStampedModel): pass",
}
USE = "{module}\ndef tool(reader):\n    loan = Loan(reader=reader)\n    loan.save()\n"


@pytest.mark.parametrize("module", LOAN.values(), ids=LOAN)
def test_an_object_of_a_django_model_is_new_each_time(module: str) -> None:
    [here] = writes_in(USE.format(module=f"import django\n{module}"))
    [there] = writes_in(USE.format(module="from library_tables import Loan"), library_tables=module)

    assert (here.what, here.repeatable) == (there.what, there.repeatable) == ("Loan.save", False)


def test_a_model_of_pydantic_has_no_table() -> None:
    module = "import django\nfrom pydantic import BaseModel\nclass Loan(BaseModel): pass"

    assert not writes_in(USE.format(module=module))


def test_an_object_that_inherits_its_table_is_a_row_of_it() -> None:
    module = """
import sqlalchemy
class Person(Base):
    __tablename__ = "people"
class Reader(Person):
    pass
"""
    [touch] = writes_in(f"{module}\ndef tool(db, name):\n    db.add(Reader(name=name))\n")

    assert (touch.kind, touch.repeatable) == ("orm", False)
