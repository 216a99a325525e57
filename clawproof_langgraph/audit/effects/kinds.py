"""Tables: what the calls, classes, attributes and methods of libraries give, as kinds of a family and a detail.

A detail that ends with `?` is the first argument of the call (the service of a client); `*` is that of the receiver.
"""

from __future__ import annotations

from typing import Final

MADE_BY: Final[dict[str, str]] = {
    # DB-API and its asynchronous likes; the detail is the dialect of sqlglot
    **dict.fromkeys(
        [
            "sqlite3.connect",
            "sqlite3.Connection",
            "sqlite3.Cursor",
            "aiosqlite.connect",
            "aiosqlite.Connection",
            "aiosqlite.Cursor",
            "libsql.connect",
        ],
        "sql:sqlite",
    ),
    **dict.fromkeys(
        [
            "psycopg.connect",
            "psycopg.Connection.connect",
            "psycopg.AsyncConnection.connect",
            "psycopg.Connection",
            "psycopg.AsyncConnection",
            "psycopg.Cursor",
            "psycopg.AsyncCursor",
            "psycopg2.connect",
            "psycopg2.extensions.connection",
            "psycopg2.extensions.cursor",
            "asyncpg.connect",
            "asyncpg.Connection",
            "asyncpg.create_pool",
            "asyncpg.Pool",
            "asyncpg.pool.Pool",
            "psycopg_pool.ConnectionPool",
            "psycopg_pool.AsyncConnectionPool",
            "psycopg2.pool.SimpleConnectionPool",
            "psycopg2.pool.ThreadedConnectionPool",
            "pg8000.connect",
            "pg8000.native.Connection",
        ],
        "sql:postgres",
    ),
    **dict.fromkeys(
        [
            "pymysql.connect",
            "pymysql.connections.Connection",
            "pymysql.cursors.Cursor",
            "MySQLdb.connect",
            "mysql.connector.connect",
            "aiomysql.connect",
            "aiomysql.create_pool",
            "asyncmy.connect",
            "mysql.connector.pooling.MySQLConnectionPool",
        ],
        "sql:mysql",
    ),
    **dict.fromkeys(
        ["oracledb.connect", "oracledb.Connection", "oracledb.create_pool", "cx_Oracle.connect"], "sql:oracle"
    ),
    **dict.fromkeys(["pyodbc.connect", "pymssql.connect"], "sql:tsql"),
    "duckdb.connect": "sql:duckdb",
    "snowflake.connector.connect": "sql:snowflake",
    "databases.Database": "sql:",
    # SQLAlchemy, SQLModel, Flask-SQLAlchemy
    **dict.fromkeys(
        [
            "sqlalchemy.create_engine",
            "sqlalchemy.ext.asyncio.create_async_engine",
            "sqlalchemy.Engine",
            "sqlalchemy.engine.Engine",
            "sqlalchemy.ext.asyncio.AsyncEngine",
            "sqlmodel.create_engine",
        ],
        "engine:",
    ),
    **dict.fromkeys(
        ["sqlalchemy.Connection", "sqlalchemy.engine.Connection", "sqlalchemy.ext.asyncio.AsyncConnection"],
        "alchemy:connection",
    ),
    **dict.fromkeys(
        [
            "sqlalchemy.orm.Session",
            "sqlalchemy.ext.asyncio.AsyncSession",
            "sqlmodel.Session",
            "sqlalchemy.orm.session.Session",
            "sqlmodel.ext.asyncio.session.AsyncSession",
            "sqlalchemy.orm.scoped_session",
            "sqlalchemy.ext.asyncio.async_scoped_session",
        ],
        "alchemy:session",
    ),
    **dict.fromkeys(["sqlalchemy.orm.sessionmaker", "sqlalchemy.ext.asyncio.async_sessionmaker"], "sessions:"),
    "flask_sqlalchemy.SQLAlchemy": "flask:",
    # HTTP
    **dict.fromkeys(
        [
            "requests.Session",
            "requests.session",
            "requests.sessions.Session",
            "requests_toolbelt.sessions.BaseUrlSession",
        ],
        "http:requests",
    ),
    **dict.fromkeys(["httpx.Client", "httpx.AsyncClient"], "http:httpx"),
    "aiohttp.ClientSession": "http:aiohttp",
    **dict.fromkeys(["urllib3.PoolManager", "urllib3.ProxyManager", "urllib3.HTTPConnectionPool"], "http:urllib3"),
    **dict.fromkeys(["http.client.HTTPConnection", "http.client.HTTPSConnection"], "http:client"),
    # AWS and other clouds
    **dict.fromkeys(["boto3.client"], "aws:?"),
    **dict.fromkeys(["boto3.resource"], "awsres:?"),
    **dict.fromkeys(
        ["boto3.Session", "boto3.session.Session", "aioboto3.Session", "aiobotocore.session.get_session"], "awssession:"
    ),
    "google.cloud.storage.Client": "gcs:client",
    "google.cloud.pubsub_v1.PublisherClient": "pubsub:",
    "google.cloud.firestore.Client": "firestore:",
    "googleapiclient.discovery.build": "google:?",
    # stores
    **dict.fromkeys(
        [
            "redis.Redis",
            "redis.StrictRedis",
            "redis.from_url",
            "redis.Redis.from_url",
            "redis.asyncio.Redis",
            "redis.asyncio.from_url",
            "redis.asyncio.Redis.from_url",
            "redis.client.Redis",
            "redis.cluster.RedisCluster",
            "redis.RedisCluster",
            "valkey.Valkey",
            "fakeredis.FakeRedis",
            "redis.asyncio.client.Redis",
        ],
        "redis:",
    ),
    **dict.fromkeys(
        ["pymongo.MongoClient", "motor.motor_asyncio.AsyncIOMotorClient", "pymongo.AsyncMongoClient"], "mongo:client"
    ),
    **dict.fromkeys(["pymongo.database.Database"], "mongo:database"),
    **dict.fromkeys(
        ["pymongo.collection.Collection", "motor.motor_asyncio.AsyncIOMotorCollection"], "mongo:collection"
    ),
    # mail and messages
    **dict.fromkeys(["smtplib.SMTP", "smtplib.SMTP_SSL", "aiosmtplib.SMTP"], "smtp:"),
    "sendgrid.SendGridAPIClient": "sendgrid:",
    **dict.fromkeys(
        [
            "slack_sdk.WebClient",
            "slack_sdk.web.async_client.AsyncWebClient",
            "slack_sdk.web.WebClient",
            "slack.WebClient",
        ],
        "slack:",
    ),
    **dict.fromkeys(["slack_sdk.webhook.WebhookClient", "slack_sdk.WebhookClient"], "slackhook:"),
    "twilio.rest.Client": "twilio:",
    **dict.fromkeys(["telegram.Bot", "telebot.TeleBot"], "telegram:"),
    **dict.fromkeys(["django.core.mail.EmailMessage", "django.core.mail.EmailMultiAlternatives"], "djangomail:"),
    "yagmail.SMTP": "yagmail:",
    **dict.fromkeys(["kafka.KafkaProducer", "confluent_kafka.Producer", "aiokafka.AIOKafkaProducer"], "kafka:"),
    "pika.BlockingConnection": "rabbit:",
    "stripe.StripeClient": "stripe:",
    # files and plain values
    **dict.fromkeys(["pathlib.Path", "pathlib.PosixPath", "anyio.Path"], "path:"),
    **dict.fromkeys(["pathlib.Path.home", "pathlib.Path.cwd"], "path:"),
    **dict.fromkeys(["open", "io.open", "codecs.open", "aiofiles.open", "gzip.open", "builtins.open"], "file:"),
    **dict.fromkeys(
        [
            "tempfile.NamedTemporaryFile",
            "tempfile.TemporaryFile",
            "tempfile.SpooledTemporaryFile",
            "io.StringIO",
            "io.BytesIO",
        ],
        "scratch:",
    ),
    **dict.fromkeys(
        ["tempfile.TemporaryDirectory", "tempfile.mkdtemp", "tempfile.mkstemp", "tempfile.gettempdir"], "scratch:"
    ),
    **dict.fromkeys(["set", "frozenset"], "plain:set"),
    **dict.fromkeys(
        ["dict", "collections.OrderedDict", "collections.defaultdict", "collections.Counter"], "plain:dict"
    ),
    **dict.fromkeys(["list", "collections.deque"], "plain:list"),
    "str": "plain:str",
    **dict.fromkeys(
        [
            "openpyxl.Workbook",
            "openpyxl.load_workbook",
            "openpyxl.reader.excel.load_workbook",
            "docx.Document",
            "pptx.Presentation",
        ],
        "document:",
    ),
    # locks
    **dict.fromkeys(
        [
            "threading.Lock",
            "threading.RLock",
            "threading.Semaphore",
            "threading.BoundedSemaphore",
            "threading.Condition",
            "_thread.allocate_lock",
        ],
        "lock:threading",
    ),
    **dict.fromkeys(
        [
            "asyncio.Lock",
            "asyncio.Semaphore",
            "asyncio.BoundedSemaphore",
            "asyncio.Condition",
            "anyio.Lock",
            "trio.Lock",
        ],
        "lock:asyncio",
    ),
    **dict.fromkeys(["multiprocessing.Lock", "multiprocessing.RLock"], "lock:multiprocessing"),
    **dict.fromkeys(
        [
            "filelock.FileLock",
            "filelock.SoftFileLock",
            "filelock.AsyncFileLock",
            "filelock.UnixFileLock",
            "fasteners.InterProcessLock",
            "fasteners.ReaderWriterLock",
            "zc.lockfile.LockFile",
            "portalocker.Lock",
            "portalocker.RedisLock",
            "lockfile.LockFile",
        ],
        "lock:file",
    ),
    **dict.fromkeys(
        [
            "redis.lock.Lock",
            "redis.asyncio.lock.Lock",
            "redis_lock.Lock",
            "pottery.Redlock",
            "redlock.Redlock",
            "redlock.RedLock",
            "aioredlock.Aioredlock",
            "pottery.RedisLock",
            "sherlock.Lock",
            "sherlock.RedisLock",
            "python_redis_lock.Lock",
        ],
        "lock:redis",
    ),
    **dict.fromkeys(
        [
            "clawproof_langgraph.Coordinator",
            "clawproof_langgraph.Coordinator.from_url",
            "clawproof_langgraph.coordinator.Coordinator",
            "clawproof_langgraph.coordinator.Coordinator.from_url",
        ],
        "coordinator:",
    ),
}
"""What a call, or an object of a class, is."""

ANNOTATED: Final[dict[str, str]] = {"typing.IO": "file:", "typing.TextIO": "file:", "io.TextIOWrapper": "file:"}
"""What an annotation says that is no constructor."""

PREFIXES: Final[tuple[tuple[str, str], ...]] = (
    ("django.db.connection", "sql:"),
    ("django.db.connections", "sql:"),
    ("requests", "http:requests"),
    ("httpx", "http:httpx"),
    ("boto3", "awssession:"),
)
"""What a global of a library is."""

METHODS: Final[dict[tuple[str, str], str]] = {
    **{
        ("sql", name): "sql:*"
        for name in (
            "cursor",
            "connection",
            "acquire",
            "getconn",
            "get_connection",
            "transaction",
            "execute",
            "executemany",
            "connect",
        )
    },
    ("sql", "[]"): "",
    **{("engine", name): "alchemy:connection" for name in ("connect", "begin", "raw_connection")},
    ("sessions", "()"): "alchemy:session",
    ("alchemy", "()"): "alchemy:*",  # a scoped session gives itself
    ("sessions", "begin"): "alchemy:session",
    **{("alchemy", name): "alchemy:*" for name in ("begin", "begin_nested", "connection", "execution_options")},
    **{("alchemy", name): "rows:alchemy" for name in ("execute", "scalars", "query", "exec", "stream")},
    **{("alchemy", name): "row:alchemy" for name in ("get", "scalar", "get_one")},
    **{
        ("rows", name): "rows:*"
        for name in (
            "filter",
            "filter_by",
            "where",
            "options",
            "order_by",
            "limit",
            "with_for_update",
            "scalars",
            "all",
            "join",
            "mappings",
            "exclude",
            "select_for_update",
            "select_related",
            "prefetch_related",
            "iterator",
            "distinct",
            "unique",
            "populate_existing",
            "using",
            "only",
            "values",
            "values_list",
            "annotate",
        )
    },
    **{
        ("rows", name): "row:*"
        for name in (
            "one",
            "one_or_none",
            "first",
            "scalar",
            "scalar_one",
            "scalar_one_or_none",
            "get",
            "earliest",
            "latest",
            "last",
            "aget",
            "afirst",
            "get_or_404",
            "first_or_404",
            "one_or_404",
            "[]",
        )
    },
    ("rows", "create"): "row:*",
    ("rows", "get_or_create"): "rows:*",
    ("rows", "update_or_create"): "rows:*",
    ("flask", "Session"): "alchemy:session",
    ("aws", "batch_writer"): "aws:*",
    ("awssession", "client"): "aws:?",
    ("awssession", "create_client"): "aws:?",
    ("awssession", "resource"): "awsres:?",
    ("awsres", "Table"): "aws:dynamodb.Table",
    ("awsres", "Queue"): "aws:sqs.Queue",
    ("awsres", "get_queue_by_name"): "aws:sqs.Queue",
    ("awsres", "Topic"): "aws:sns.Topic",
    ("awsres", "Bucket"): "aws:s3.Bucket",
    ("awsres", "Object"): "aws:s3.Object",
    ("aws", "Object"): "aws:s3.Object",
    **{("gcs", name): "gcs:bucket" for name in ("bucket", "get_bucket")},
    ("gcs", "blob"): "gcs:blob",
    **{("firestore", name): "firestore:" for name in ("collection", "document")},
    **{("redis", name): "redis:" for name in ("pipeline",)},
    ("redis", "lock"): "lock:redis",
    **{("mongo", name): "mongo:collection" for name in ("[]", "get_collection")},
    ("mongo", "get_database"): "mongo:database",
    ("rabbit", "channel"): "rabbit:channel",
    **{
        ("path", name): "path:"
        for name in ("joinpath", "with_suffix", "resolve", "with_name", "expanduser", "absolute")
    },
    **{("path", name): "path:" for name in ("with_stem", "relative_to", "rename", "replace")},
    ("path", "open"): "file:",
    **{("path", name): "paths:" for name in ("iterdir", "glob", "rglob")},
    ("paths", "[]"): "path:",
    ("document", "[]"): "sheet:",
    ("document", "create_sheet"): "sheet:",
    ("document", "get_sheet_by_name"): "sheet:",
    ("coordinator", "lock"): "lock:coordinator",
    ("coordinator", "with"): "coordinator:",
}
"""What a method of a kind gives; `[]` is an item, or what a loop gives; `()` a call; `with` what entering gives."""

ATTRIBUTES: Final[dict[tuple[str, str], str]] = {
    ("flask", "session"): "alchemy:session",
    ("flask", "engine"): "engine:",
    ("path", "parent"): "path:",
    ("path", "parents"): "paths:",
    ("document", "active"): "sheet:",
    ("awsres", "meta"): "",
}
"""What an attribute of a kind is."""
