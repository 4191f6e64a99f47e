"""A server that speaks the S3 protocol (moto's), on loopback, for as long as stdin stays open.

What for: the loader reads `s3://` through it, signed requests, ranges, ETags and listings included, with no
network and no account. It keeps objects in memory and wants requests signed, but does not check with which key.

`s3_server.py [--bucket NAME] [--folder DIR] [--prefix PATH] [--public]` takes a free port, makes the bucket,
uploads every file below DIR under its relative path, prints one line of JSON, {"endpoint", "bucket", "keys"}, and
then obeys lines of JSON on stdin, one answer per line, until stdin closes:

    {"put": "key", "file": "path"}    puts a file, in place of an object of that name if there is one
    {"delete": "key"}                 removes an object
    {"fetch": "prefix", "folder": "path"}  writes the objects below a prefix to files

With stdin the server ends as well, so it never outlives the test that started it.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

# Not secret: moto takes any. Set before boto3 looks for the machine's own.
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
os.environ.pop("AWS_SESSION_TOKEN", None)
os.environ.pop("AWS_PROFILE", None)
os.environ["no_proxy"] = "127.0.0.1"


def put(s3, bucket, key, path, acl):
    return s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), ACL=acl)["ETag"]


def obey(s3, bucket, acl, order):
    if "put" in order:
        return {"etag": put(s3, bucket, order["put"], Path(order["file"]), acl)}
    if "delete" in order:
        s3.delete_object(Bucket=bucket, Key=order["delete"])
        return {"deleted": order["delete"]}
    if "fetch" in order:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=order["fetch"])
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        for key in keys:
            path = Path(order["folder"], key.removeprefix(order["fetch"]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return {"fetched": keys}
    raise ValueError(f"expected `put`, `delete` or `fetch`, found {order}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--folder", type=Path, help="files to upload")
    parser.add_argument("--prefix", default="", help="put before every key, `/` included")
    parser.add_argument("--public", action="store_true", help="objects may be read unsigned, as plain http://")
    args = parser.parse_args()
    acl = "public-read" if args.public else "private"

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client("s3", endpoint_url=endpoint)
    s3.create_bucket(Bucket=args.bucket)
    keys = []
    files = sorted(path for path in args.folder.rglob("*") if path.is_file()) if args.folder else []
    for path in files:
        key = args.prefix + path.relative_to(args.folder).as_posix()
        put(s3, args.bucket, key, path, acl)
        keys.append(key)
    print(json.dumps({"endpoint": endpoint, "bucket": args.bucket, "keys": keys}), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(s3, args.bucket, acl, json.loads(line))), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
