"""Tools of a library's assistant, over Django and MongoDB."""

import os

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import F
from django.shortcuts import get_object_or_404
from langchain_core.tools import tool
from pymongo import MongoClient

from library_models import Book, Loan

mongo = MongoClient(os.environ["MONGO_URL"])
db = mongo["library"]


# expect: unsafe orm
@tool
@transaction.atomic
def lend(isbn: str, reader: str) -> str:
    """Lend a book."""
    book = Book.objects.select_for_update().get(isbn=isbn)
    if book.copies < 1:
        return "None left."
    loan = Loan(book=book, reader=reader)
    loan.save()
    return f"Loan {loan.pk}."


# expect: unsafe orm
@tool
def buy_copies(isbn: str, number: int) -> str:
    """Buy more copies."""
    Book.objects.filter(isbn=isbn).update(copies=F("copies") + number)
    return "Bought."


# expect: unsafe orm
@tool
async def lend_async(isbn: str, reader: str) -> str:
    """Lend a book."""
    book = await Book.objects.aget(isbn=isbn)
    loan = await book.loans.acreate(reader=reader)
    return f"Loan {loan.pk}."


# expect: safe
@tool
def shelve(isbn: str, shelf: str) -> str:
    """Put a book on a shelf."""
    book = get_object_or_404(Book, isbn=isbn)
    book.shelf = shelf
    book.save(update_fields=["shelf"])
    return f"{book.title} is on {shelf}."


# expect: safe
@tool
async def add_book(isbn: str, title: str) -> str:
    """Add a book to the catalogue."""
    _, created = await sync_to_async(Book.objects.get_or_create)(isbn=isbn, defaults={"title": title})
    return "Added." if created else "It was there."


# expect: safe
@tool
def give_back(loan_id: int) -> str:
    """Give a book back."""
    with transaction.atomic():
        loan = Loan.objects.select_for_update().filter(pk=loan_id, returned=False).first()
        if loan is None:
            return "It was given back."
        loan.returned = True
        loan.save()
        Book.objects.filter(pk=loan.book_id).update(copies=F("copies") + 1)
    return "Given back."


# expect: unsafe store
@tool
def review(isbn: str, words: str) -> str:
    """Review a book."""
    db.reviews.insert_one({"isbn": isbn, "words": words})
    return "Reviewed."


# expect: safe
@tool
def rate(isbn: str, reader: str, stars: int) -> str:
    """Rate a book."""
    db["ratings"].update_one({"isbn": isbn, "reader": reader}, {"$set": {"stars": stars}}, upsert=True)
    return "Rated."
