"""tuspy, as its users call it, against a running server: in one request, in chunks with checksums, and resumed."""
import hashlib
import json
import os
import sys
import urllib.request

from tusclient.client import TusClient

base, photo, folder = sys.argv[1:4]
content = open(photo, "rb").read() + os.urandom(12 << 20)
path = os.path.join(folder, "large.jpg")
open(path, "wb").write(content)
client = TusClient(base + "/v1/tus")
metadata = {"filename": "large.jpg", "title": "tuspy"}


def check(name, uploader):
    head = urllib.request.Request(uploader.url, method="HEAD", headers={"Tus-Resumable": "1.0.0"})
    asset = urllib.request.urlopen(head).headers["Mediaflow-Asset"]
    found = json.load(urllib.request.urlopen(base + asset))
    assert found["original"]["sha256"] == hashlib.sha256(content).hexdigest(), (name, found)
    assert found["title"] == "tuspy", found
    print(f"{name}: {asset}")


uploader = client.uploader(path, metadata=metadata)
uploader.upload()
check("one request", uploader)

uploader = client.uploader(path, metadata=metadata, chunk_size=3_000_001, upload_checksum=True)
uploader.upload()
check("chunks with checksums", uploader)

first = client.uploader(path, metadata=metadata, chunk_size=5_000_000)
first.upload(stop_at=5_000_000)
uploader = client.uploader(path, metadata=metadata, chunk_size=5_000_000, url=first.url)
assert uploader.get_offset() == 5_000_000
uploader.upload()
check("resumed", uploader)
