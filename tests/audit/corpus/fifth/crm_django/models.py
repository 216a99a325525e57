from django.conf import settings
from django.db import models


class Label(models.Model):
    name = models.CharField(max_length=40, unique=True)


class Ticket(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    subject = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    assignee = models.CharField(max_length=80, blank=True)
    votes = models.PositiveIntegerField(default=0)
    labels = models.ManyToManyField(Label)


class Wallet(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    balance = models.DecimalField(max_digits=10, decimal_places=2, default=0)


class Subscription(models.Model):
    email = models.EmailField()
    topic = models.CharField(max_length=80)

    class Meta:
        unique_together = [("email", "topic")]
