import json
import os
from decimal import Decimal
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from langchain_core.tools import tool

from app.settings import get_settings

REGION = os.environ.get("AWS_REGION", "eu-west-1")
dynamodb = boto3.resource("dynamodb", region_name=REGION)
orders = dynamodb.Table(os.environ["ORDERS_TABLE"])
s3 = boto3.client("s3", config=Config(retries={"max_attempts": 5}))


@cache
def aws(service: str):
    return boto3.session.Session(region_name=REGION).client(service)


# expect: unsafe cloud
@tool
def enqueue_job(kind: str, customer: str) -> str:
    """Put a job into the queue."""
    reply = aws("sqs").send_message(
        QueueUrl=get_settings().queue_url, MessageBody=json.dumps({"kind": kind, "customer": customer})
    )
    return f"queued as {reply['MessageId']}"


# expect: safe
@tool
def enqueue_order(order_id: str) -> str:
    """Put an order into the FIFO queue, once."""
    aws("sqs").send_message(
        QueueUrl="https://sqs.eu-west-1.amazonaws.com/1/orders.fifo",
        MessageBody=order_id,
        MessageGroupId="orders",
        MessageDeduplicationId=order_id,
    )
    return "queued"


# expect: unsafe cloud
@tool
def add_loyalty_points(customer: str, points: int) -> str:
    """Add loyalty points."""
    table = boto3.resource("dynamodb").Table("customers")
    reply = table.update_item(
        Key={"pk": f"CUSTOMER#{customer}"},
        UpdateExpression="ADD points :p",
        ExpressionAttributeValues={":p": Decimal(points)},
        ReturnValues="UPDATED_NEW",
    )
    return str(reply["Attributes"]["points"])


# expect: safe
@tool
def set_order_status(order_id: str, status: str) -> str:
    """Set the status of an order."""
    try:
        orders.update_item(
            Key={"order_id": order_id},
            UpdateExpression="SET #s = :s",
            ConditionExpression="attribute_exists(order_id)",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": status},
        )
    except ClientError as error:
        return error.response["Error"]["Message"]
    return "set"


class OrderStore:
    def __init__(self, name: str) -> None:
        self.table = boto3.resource("dynamodb").Table(name)

    def put(self, item: dict) -> None:
        self.table.put_item(Item=item)

    def take(self, sku: str, units: int) -> int:
        item = self.table.get_item(Key={"sku": sku})["Item"]
        item["units"] -= units
        self.table.put_item(Item=item)
        return int(item["units"])


store = OrderStore("inventory")


# expect: unsafe cloud
@tool
def take_units(sku: str, units: int) -> str:
    """Take units from the stock."""
    return f"{store.take(sku, units)} left"


# expect: safe
@tool
def put_item(sku: str, name: str, price: str) -> str:
    """Put an item into the catalogue."""
    store.put({"sku": sku, "name": name, "price": Decimal(price)})
    return "stored"


# expect: unsafe cloud
@tool
def notify_team(subject: str, message: str) -> str:
    """Notify the team."""
    topic = boto3.resource("sns").Topic(os.environ["TEAM_TOPIC"])
    topic.publish(Subject=subject[:100], Message=message)
    return "notified"


# expect: unsafe cloud
@tool
def start_import(bucket: str, key: str) -> str:
    """Start the import of a file."""
    sfn = boto3.client("stepfunctions")
    run = sfn.start_execution(
        stateMachineArn=os.environ["IMPORT_ARN"], input=json.dumps({"bucket": bucket, "key": key})
    )
    return run["executionArn"]


# expect: safe
@tool
def start_nightly(day: str) -> str:
    """Start the nightly run of a day."""
    sfn = boto3.client("stepfunctions")
    run = sfn.start_execution(stateMachineArn=os.environ["NIGHTLY_ARN"], name=f"nightly-{day}", input="{}")
    return run["executionArn"]


# expect: safe
@tool
def upload_report(customer: str, text: str) -> str:
    """Upload the report of a customer."""
    key = f"reports/{customer}.txt"
    s3.put_object(Bucket="reports", Key=key, Body=text.encode(), ContentType="text/plain")
    return s3.generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": key}, ExpiresIn=3600)


# expect: unsafe mail
@tool
def mail_receipt(to: str, order_id: str) -> str:
    """Mail a receipt."""
    try:
        reply = boto3.client("sesv2", region_name=REGION).send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": [to]},
            Content={"Simple": {"Subject": {"Data": "Receipt"}, "Body": {"Text": {"Data": order_id}}}},
        )
    except ClientError as error:
        return f"not sent: {error}"
    return reply["MessageId"]
