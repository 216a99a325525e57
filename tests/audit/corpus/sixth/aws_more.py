import boto3
from langchain_core.tools import tool

session = boto3.Session(profile_name="agents")
dynamodb = session.resource("dynamodb")


# expect: safe
@tool
def save_rows(sheet: str, rows: list[dict]) -> str:
    """Save the rows of a sheet, each under its number."""
    table = dynamodb.Table("sheets")
    with table.batch_writer() as batch:
        for number, row in enumerate(rows):
            batch.put_item(Item={"sheet": sheet, "row": number, **row})
    return f"{len(rows)} rows saved"


# expect: read
@tool
def list_reports(prefix: str) -> list[str]:
    """List the reports in the bucket."""
    pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket="reports", Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


# expect: unsafe mail
@tool
def send_alert_mail(to: str, subject: str, text: str) -> str:
    """Send an alert by mail."""
    reply = session.client("sesv2").send_email(
        FromEmailAddress="alerts@acme.example",
        Destination={"ToAddresses": [to]},
        Content={"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}}},
    )
    return reply["MessageId"]
