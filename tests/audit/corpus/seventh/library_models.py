"""Tables of a library, in Django."""

from django.db import models


class Book(models.Model):
    isbn = models.CharField(max_length=13, unique=True)
    title = models.CharField(max_length=200)
    copies = models.IntegerField(default=0)
    shelf = models.CharField(max_length=20, blank=True)


class Loan(models.Model):
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="loans")
    reader = models.CharField(max_length=100)
    returned = models.BooleanField(default=False)
