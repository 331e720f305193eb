"""(c) The real binary: one film uploaded over HTTP, and when which rung could be watched."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process and of the children it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


class Server:
    """A server on an empty folder; `wrap` is put before its command, `settings` is its configuration file."""

    def __init__(self, binary, settings="", wrap=()):
        self.folder = tempfile.TemporaryDirectory(prefix="mediaflow-bench-")
        root = pathlib.Path(self.folder.name)
        (root / "mediaflow.toml").write_text(settings)
        self.port = free_port()
        self.process = subprocess.Popen(
            [*wrap, str(binary), "serve", "--config", str(root / "mediaflow.toml"),
             "--listen", f"127.0.0.1:{self.port}", "--data", str(root / "data")],
            stdout=subprocess.DEVNULL, stderr=open(root / "log", "w"))

    def __enter__(self):
        for _ in range(400):
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit("the server does not start: " + (pathlib.Path(self.folder.name) / "log").read_text()[-2000:])

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        self.folder.cleanup()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def upload(self, path):
        """Gives the asset's id and the moment its last byte was sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        with open(path, "rb") as file:
            connection.request("POST", "/v1/assets", file, {"Content-Type": "video/mp4", "Content-Length": str(path.stat().st_size)})
        sent = time.monotonic()
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 202:
            raise SystemExit(f"the upload was answered {answer.status}: {body[:300]}")
        return json.loads(body)["id"], sent

    def spent(self):
        """CPU seconds by operation, those of checks apart under `check`."""
        text = self.get("/metrics")[1].decode()
        found = {}
        for name, operation, value in re.findall(
                r'^mediaflow_task_(cpu|check_cpu)_seconds(?:_total)?\{operation="([^"]*)"\} ([0-9.eE+-]+)', text, re.M):
            key = operation if name == "cpu" else "check"
            found[key] = found.get(key, 0.0) + float(value)
        return found

    def playable(self, asset, complete=False):
        """The rungs that a player could begin with now: listed in the master, a first segment and first sound beneath."""
        status, text = self.get(f"/media/{asset}/hls.m3u8")
        if status != 200:
            return []
        lines = text.decode().splitlines()
        sound = [m[1] for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=AUDIO") and (m := re.search(r'URI="([^"]+)"', line))]
        listed = [line for line in lines if line and not line.startswith("#")]
        if not all(self.segments(asset, uri) for uri in sound):
            return []
        return [uri for uri in listed if (found := self.segments(asset, uri)) and (not complete or found[1])]

    def segments(self, asset, uri):
        """Addresses in a playlist and whether it has ended; nothing while it is empty."""
        base = f"/media/{asset}/hls.m3u8"
        path = urllib.parse.urljoin(base, uri)
        status, text = self.get(path)
        text = text.decode()
        uris = [urllib.parse.urljoin(path, line) for line in text.splitlines() if line and not line.startswith("#")]
        init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', text)
        if status != 200 or not uris or not init:
            return None
        return [urllib.parse.urljoin(path, init[1]), *uris], "#EXT-X-ENDLIST" in text

    def watch(self, asset, sent, rungs, complete=False):
        """Seconds from `sent` until the lowest rung plays, until `rungs` play (`complete`: to their end), and until the asset is ready."""
        first = every = None
        while True:
            found = self.playable(asset) if every is None else None
            now = time.monotonic() - sent
            if found and first is None:
                first = now
            if found and len(found) >= rungs and (not complete or len(self.playable(asset, True)) >= rungs):
                every = now
            state = json.loads(self.get(f"/v1/assets/{asset}")[1])["state"]
            if state in ("ready", "failed", "rejected"):
                if state != "ready":
                    raise SystemExit(f"the asset is {state}: {self.get('/v1/tasks?asset=' + asset + '&state=dead')[1][:2000]}")
                return first, every or now, time.monotonic() - sent
            time.sleep(0.05 if every is None else 0.25)

    def stream(self, asset, name, path):
        """One rung as one file, and the bytes of its segments."""
        uris, _ = self.segments(asset, f"{name}.m3u8")
        parts = [self.get(uri)[1] for uri in uris]
        path.write_bytes(b"".join(parts))
        return path, sum(map(len, parts[1:]))
