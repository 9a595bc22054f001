"""moto's S3 and DynamoDB on loopback, made fit for tests of conditional writes and for counting requests.

    moto [--port PORT] [--log FILE]

Prints `listening on http://127.0.0.1:PORT` once it accepts connections (on a free port unless told), and ends when its
standard input does: so it never outlives whoever started it, however that ends. With a log, each request is one line of
JSON in it, written before the answer is sent.

It differs from moto's own server where that differs from AWS in ways that tests of locks run into:

- One request at a time. moto's conditional writes look first and write then, on many threads, so two could both win.
- Connections stay open. moto's server closes each after one answer, and a client that used it again at that moment
  sends its request once more: a conditional write then fails on what its own first try has written.
- An answer leaves in one piece, so that headers never arrive without their body.
- CreateBucket keeps the tags that come with it.
- What GetBucketVersioning answers has the name that AWS gives it, by which AWS's clients know it.
- GetBucketReplication tells of each rule all that was put. moto leaves out whether what KMS encrypts is copied, and what is deleted.
- It looks once what services there are. moto's server lists its own directory for each request, which is half of its time.
- A transaction keeps the items that it writes, for the case that it is cancelled. moto keeps a copy of the whole table for each of them.
"""

import argparse
import copy
import importlib.metadata
import io
import json
import logging
import os
import sys
import threading

from moto import backends
from moto.dynamodb import models as dynamodb
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3 import responses as s3
from werkzeug.serving import make_server

# What tells one operation from another, who asks, and how it is meant.
LOGGED_HEADERS = (
    "amz-sdk-request",
    "content-encoding",
    "content-length",
    "content-type",
    "if-match",
    "if-none-match",
    "range",
    "user-agent",
    "x-amz-copy-source",
    "x-amz-target",
)
# These are the connection's own affair; the server below writes them.
NOT_FORWARDED = ("connection", "date", "server", "transfer-encoding")
# The root of the answer to GetBucketVersioning: as moto names it, and as AWS does.
VERSIONING_ROOT = (b"GetBucketVersioningResponse", b"VersioningConfiguration")


class RequestLog:
    """One line of JSON for each request, appended whole."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, handler, status):
        path, _, query = handler.path.partition("?")
        headers = {name: handler.headers[name] for name in LOGGED_HEADERS if name in handler.headers}
        entry = {"method": handler.command, "path": path, "query": query, "headers": headers, "status": status}
        os.write(self.file, (json.dumps(entry) + "\n").encode())


class Handler(MotoRequestHandler):
    """Reads a request whole, has moto answer it alone, and sends the answer in one write."""

    protocol_version = "HTTP/1.1"
    # Buffered, so that the flush at the end is the one write.
    wbufsize = -1
    disable_nagle_algorithm = True
    one_at_a_time = threading.Lock()
    request_log = None

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        super().handle_expect_100()
        # The client waits for it with the body in hand.
        self.wfile.flush()
        return True

    def run_wsgi(self):
        environ = self.make_environ()
        # Before the lock is taken: a slow client must not hold up the others.
        body = self.read_body(environ)
        if body is None:
            self.close_connection = True
            return
        environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        with self.one_at_a_time:
            status, headers, answer = self.call(environ)
            if status.startswith("200") and b"<CreateBucketConfiguration" in body and b"<Tags>" in body:
                self.tag_bucket(environ, body)
            if self.request_log:
                self.request_log.write(self, int(status.split()[0]))
        self.send(status, headers, answer)

    @staticmethod
    def read_body(environ):
        """The body; None where the client was gone before it had sent all of it, and so has asked for nothing."""
        length = environ.get("CONTENT_LENGTH")
        try:
            if length:
                body = environ["wsgi.input"].read(int(length))
                return body if len(body) == int(length) else None
            # Werkzeug's mark of a chunked body, which it decodes.
            return environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else b""
        except OSError:
            return None

    def call(self, environ):
        started = []
        parts = self.server.app(environ, lambda status, headers, *_: started.append((status, headers)))
        try:
            answer = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers = started[-1]
        wrong, right = VERSIONING_ROOT
        if wrong in answer and "versioning" in environ["QUERY_STRING"]:
            answer = answer.replace(wrong, right)
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return status, headers, answer

    def tag_bucket(self, environ, body):
        """What moto leaves out of CreateBucket, as a request of its own."""
        tags = body.split(b"<Tags>")[1].split(b"</Tags>")[0]
        body = b"<Tagging><TagSet>" + tags + b"</TagSet></Tagging>"
        target = environ["PATH_INFO"] + "?tagging"
        more = {"QUERY_STRING": "tagging", "REQUEST_URI": target, "RAW_URI": target}
        more.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        self.call({**environ, **more})

    def send(self, status, headers, answer):
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        kept = [(name, value) for name, value in headers if name.lower() not in NOT_FORWARDED]
        for name, value in kept:
            self.send_header(name, value)
        has_no_body = int(code) in (204, 304)
        # The answer to a HEAD tells the length of what is not sent, and knows it already.
        if not has_no_body and "content-length" not in (name.lower() for name, _ in kept):
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD" and not has_no_body:
            self.wfile.write(answer)
        self.wfile.flush()


def look_once_for_services():
    services = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services


def tell_rules_of_replication():
    def get_bucket_replication(self):
        self.data["Action"] = "GetBucketReplication"
        found = self.backend.get_bucket_replication(self.bucket_name)
        if not found:
            raise s3.ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
        told = {"Role": found["Role"], "Rules": [rule_as_told(rule) for rule in found["Rule"]]}
        return self.serialized(s3.ActionResult({"ReplicationConfiguration": told}))

    def rule_as_told(rule):
        # What is empty was put as an empty element.
        return {**rule, "Filter": rule.get("Filter") or {"Prefix": ""}}

    s3.S3Response.get_bucket_replication = get_bucket_replication


class KeptItem:
    """An item as it was before a transaction wrote it; maybe none."""

    def __init__(self, table, key):
        self.table = table
        names = [name for name in (table.hash_key_attr, table.range_key_attr) if name is not None]
        self.key = [DynamoType(key[name]) for name in names]
        self.item = copy.deepcopy(table.get_item(*self.key))

    def put_back(self):
        *hashes, last = self.key
        items = self.table.items
        for key in hashes:
            items = items[key]
        if self.item is None:
            items.pop(last, None)
        else:
            items[last] = self.item


def keep_only_what_transactions_write():
    class Copy:
        """To moto's transactions, the module `copy`. A stream would have to be put back, too: then it is as moto has it."""

        @staticmethod
        def deepcopy(value):
            return value if isinstance(value, Table) and value.stream_shard is None else copy.deepcopy(value)

    transact = dynamodb.DynamoDBBackend.transact_write_items

    def transact_write_items(self, transact_items):
        writes = [write for item in transact_items for write in item.values()]
        tables = [self.tables.get(write.get("TableName")) for write in writes]
        keys = [write.get("Key") or write.get("Item") for write in writes]
        # What is malformed moto refuses before it writes.
        kept = [KeptItem(table, key) for table, key in zip(tables, keys) if table and is_whole(table, key)]
        try:
            return transact(self, transact_items)
        except Exception:
            for item in kept:
                item.put_back()
            raise

    def is_whole(table, key):
        return key and all(name in key for name in (table.hash_key_attr, table.range_key_attr) if name is not None)

    dynamodb.copy = Copy
    dynamodb.DynamoDBBackend.transact_write_items = transact_write_items


def end_with_stdin():
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(prog="moto", description="moto's S3 and DynamoDB, one request at a time")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (a free one)")
    parser.add_argument("--log", metavar="FILE", help="append a line of JSON for each request")
    parser.add_argument("--version", action="version", version="moto " + importlib.metadata.version("moto"))
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    look_once_for_services()
    keep_only_what_transactions_write()
    tell_rules_of_replication()
    if arguments.log:
        Handler.request_log = RequestLog(arguments.log)
    server = make_server(
        "127.0.0.1",
        arguments.port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=Handler,
    )
    threading.Thread(target=end_with_stdin, daemon=True).start()
    print("listening on http://127.0.0.1:%d" % server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
