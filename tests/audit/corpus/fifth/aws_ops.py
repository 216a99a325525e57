import json
from datetime import datetime, timezone
from functools import lru_cache

import boto3
from botocore.exceptions import ClientError
from langchain_core.tools import tool

BUCKET = "acme-agent-artifacts"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/work"
FIFO = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo"


@lru_cache
def client(name: str):
    return boto3.client(name, region_name="eu-west-1")


def table(name: str):
    return boto3.resource("dynamodb").Table(name)


# expect: safe
@tool
def publish_report(report_id: str, report: dict) -> str:
    """Publish a report in the bucket."""
    key = f"reports/{report_id}.json"
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(report), ContentType="application/json")
    return f"s3://{BUCKET}/{key}"


# expect: unsafe cloud
@tool
def snapshot_state(name: str, state: dict) -> str:
    """Keep a snapshot of the agent's state."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    key = "/".join(["snapshots", name, stamp + ".json"])
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(state).encode())
    return key


# expect: unsafe cloud
@tool
def queue_work(kind: str, payload: dict) -> str:
    """Queue work for the background workers."""
    out = client("sqs").send_message(QueueUrl=QUEUE, MessageBody=json.dumps({"kind": kind, **payload}))
    return out["MessageId"]


# expect: safe
@tool
def submit_order(order_id: str, items: list[str]) -> str:
    """Submit an order to the fulfilment queue."""
    sqs = boto3.client("sqs")
    sqs.send_message(
        QueueUrl=FIFO,
        MessageBody=json.dumps({"order_id": order_id, "items": items}),
        MessageGroupId="orders",
        MessageDeduplicationId=order_id,
    )
    return "submitted"


# expect: unsafe cloud
@tool
def remember_fact(user_id: str, fact: str) -> str:
    """Remember a fact about the user."""
    table("memory").update_item(
        Key={"user_id": user_id},
        UpdateExpression="SET #f = list_append(if_not_exists(#f, :empty), :new)",
        ExpressionAttributeNames={"#f": "facts"},
        ExpressionAttributeValues={":new": [fact], ":empty": []},
    )
    return "remembered"


# expect: safe
@tool
def register_device(serial: str, owner: str) -> str:
    """Register a device, once."""
    devices = table("devices")
    try:
        devices.put_item(
            Item={"serial": serial, "owner": owner, "registered": datetime.now(timezone.utc).isoformat()},
            ConditionExpression="attribute_not_exists(serial)",
        )
    except ClientError as err:
        if err.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return "was registered before"
    return "registered"


# expect: unsafe cloud
@tool
def launch_worker(size: str = "t3.micro", count: int = 1) -> list[str]:
    """Launch worker machines."""
    ec2 = boto3.resource("ec2")
    made = ec2.create_instances(ImageId="ami-0abc", InstanceType=size, MinCount=count, MaxCount=count)
    return [m.id for m in made]
