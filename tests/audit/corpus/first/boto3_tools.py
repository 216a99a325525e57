import json
import uuid
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr
from langchain_core.tools import tool

from clawproof_langgraph import current_call

s3 = boto3.client("s3")
sqs = boto3.client("sqs", region_name="eu-west-1")
dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table("inventory")


# expect: safe
@tool
def store_report(report_id: str, body: str) -> str:
    """Store a report."""
    s3.put_object(Bucket="reports", Key=f"{report_id}.txt", Body=body.encode())
    return "stored"


# expect: unsafe cloud
@tool
def store_upload(body: str) -> str:
    """Store an upload under a new name."""
    key = f"uploads/{uuid.uuid4()}.txt"
    s3.put_object(Bucket="reports", Key=key, Body=body.encode())
    return key


# expect: unsafe cloud
@tool
def queue_shipment(order_id: str) -> str:
    """Queue a shipment."""
    sqs.send_message(QueueUrl="https://sqs/shipments", MessageBody=json.dumps({"order": order_id}))
    return "queued"


# expect: safe
@tool
def queue_once(order_id: str) -> str:
    """Queue a shipment, once."""
    sqs.send_message(
        QueueUrl="https://sqs/shipments.fifo",
        MessageBody=json.dumps({"order": order_id}),
        MessageGroupId="shipments",
        MessageDeduplicationId=f"ship-{order_id}",
    )
    return "queued"


# expect: safe
@tool
def put_item(sku: str, units: int) -> str:
    """Write an item."""
    table.put_item(Item={"sku": sku, "units": units})
    return "written"


# expect: unsafe cloud
@tool
def add_units(sku: str, units: int) -> str:
    """Add units to an item."""
    table.update_item(
        Key={"sku": sku},
        UpdateExpression="ADD units :n",
        ExpressionAttributeValues={":n": Decimal(units)},
    )
    return "added"


# expect: unsafe cloud
@tool
def subtract_units(sku: str, units: int) -> str:
    """Take units from an item."""
    ddb = boto3.client("dynamodb")
    ddb.update_item(
        TableName="inventory",
        Key={"sku": {"S": sku}},
        UpdateExpression="SET units = units - :n",
        ConditionExpression="units >= :n",
        ExpressionAttributeValues={":n": {"N": str(units)}},
    )
    return "taken"


# expect: safe
@tool
def mark_sold(sku: str) -> str:
    """Mark an item as sold."""
    table.update_item(
        Key={"sku": sku},
        UpdateExpression="SET #s = :sold",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":sold": "sold"},
    )
    return "sold"


# expect: safe
@tool
def create_item(sku: str) -> str:
    """Create an item unless it is there."""
    table.put_item(Item={"sku": sku, "units": 0}, ConditionExpression=Attr("sku").not_exists())
    return "created"


# expect: unsafe cloud
@tool
def announce(text: str) -> str:
    """Publish to a topic."""
    boto3.client("sns").publish(TopicArn="arn:aws:sns:topic", Message=text)
    return "published"


# expect: unsafe mail
@tool
def ses_mail(to: str, subject: str, body: str) -> str:
    """Send a mail."""
    ses = boto3.client("ses")
    ses.send_email(
        Source="shop@example.com",
        Destination={"ToAddresses": [to]},
        Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": body}}},
    )
    return "sent"


# expect: safe
@tool
def start_machine(name: str) -> str:
    """Start a machine, once for each call."""
    ec2 = boto3.client("ec2")
    ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, ClientToken=current_call().idempotency_key[:64])
    return "started"


# expect: unsafe cloud
@tool
def start_machines(count: int) -> str:
    """Start machines."""
    session = boto3.Session(profile_name="ops")
    session.client("ec2").run_instances(ImageId="ami-1", MinCount=count, MaxCount=count)
    return "started"


# expect: read
@tool
def list_reports() -> list[str]:
    """List the reports."""
    return [each["Key"] for each in s3.list_objects_v2(Bucket="reports").get("Contents", [])]
