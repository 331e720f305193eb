"""Files brought straight to a bucket with the requests that were signed for it, with botocore's HTTP client and curl, and found
there as Amazon's own library sees them."""
import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

base, endpoint, bucket, photo, folder = sys.argv[1:6]
http = URLLib3Session()
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def begin(content, **more):
    sha256 = hashlib.sha256(content).hexdigest()
    return ask("POST", "/v1/uploads", {"bytes": len(content), "filename": "photo.jpg", "sha256": sha256, **more})


def send(request, content):
    part = content[request["range"]["start"]:][: request["range"]["bytes"]]
    signed = AWSRequest(method=request["method"], url=request["url"], headers=request["headers"], data=part)
    return http.send(signed.prepare())


def refused(request, content):
    """A store may answer, and hang up before it has read the body: then the client sees just that."""
    try:
        return send(request, content).status_code == 403
    except ConnectionClosedError:
        return True


def check(name, upload, content, parts=()):
    asset = ask("POST", upload["links"]["complete"], {"parts": list(parts)})
    assert asset["sha256"] == hashlib.sha256(content).hexdigest(), (name, asset)
    found = ask("GET", f"/v1/assets/{asset['id']}")
    assert found["original"]["bytes"] == len(content), found
    print(f"{name}: /v1/assets/{asset['id']}")


def keys():
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="originals/")
    return [found["Key"] for found in listed.get("Contents", [])]


content = open(photo, "rb").read()
upload = begin(content, type="image/jpeg")
[request] = upload["requests"]
for name in ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"]:
    assert name in request["headers"], request
wrong = dict(request, headers={**request["headers"], "content-type": "text/html"})
assert refused(wrong, content), "another type"
short = dict(request, range={"start": 0, "bytes": 10}, headers={**request["headers"], "content-length": "10"})
assert refused(short, content), "another length"
assert send(request, content).status_code == 200
assert send(request, content).status_code == 412, "it is not replaced"
check("one request", upload, content)
assert len(keys()) == 1, keys()

large = content + os.urandom(12 << 20)
upload = begin(large)
assert len(upload["requests"]) == 3, upload
sent = [(request["part"], send(request, large)) for request in reversed(upload["requests"])]
parts = [{"part": part, "etag": answer.headers["ETag"]} for part, answer in sent]
try:
    ask("POST", upload["links"]["complete"], {"parts": [{**part, "etag": "0" * 32} for part in parts]})
    raise AssertionError("other parts were taken")
except urllib.error.HTTPError as error:
    assert json.load(error)["code"] == "upload.incomplete"
check("parts", upload, large, parts)
[head] = [s3.head_object(Bucket=bucket, Key=key) for key in keys() if upload["id"].replace("-", "") in key]
assert head["ContentLength"] == len(large)

path = os.path.join(folder, "curl.jpg")
other = content + b"!"
open(path, "wb").write(other)
upload = begin(other)
[request] = upload["requests"]
headers = [part for name, value in request["headers"].items() for part in ("-H", f"{name}: {value}")]
subprocess.run(["curl", "-sSf", "-X", "PUT", "-T", path, *headers, request["url"]], check=True)
check("curl", upload, other)

upload = begin(content, title="given up")
send(upload["requests"][0], content)
before = len(keys())
request = urllib.request.Request(base + upload["links"]["self"], method="DELETE")
assert urllib.request.urlopen(request).status == 204
assert len(keys()) == before - 1, "what is given up leaves nothing"
print("given up: nothing is left")
