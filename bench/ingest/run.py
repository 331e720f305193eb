#!/usr/bin/env python3
"""What uploads over tus cost a server: one large file in one PATCH, and many small ones that come with the request that opens
them. MediaFlow, @tus/server and the floor get the same bytes from the same client, one after the other, round by round.

Prints CPU seconds of the server per GB and milliseconds per small file, MB/s, accept latency and peak memory.

Then a burst: so many small files at the same moment, each on a connection of its own, to a server that only answers, and to
MediaFlow with its limits as they are and with room for all. Each must be answered with 202, or with 429 and Retry-After; what got
429 is sent again after that time. Prints the latency of what was accepted and how many were sent away, and fails when one is lost.

usage: run.py --peer peer.mjs --client burst [--binary target/release/mediaflow] [--gigabytes 2] [--small 2000] [--rounds 3] [--burst 10000]
              [--folder FOLDER]
"""
import argparse
import concurrent.futures
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONNECTIONS = 32
SMALL_BYTES = 200_000
HEADERS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def wait_for(port):
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("a server does not start")


def floor(port, folder):
    """One request for each connection's file: hashed on the way, synced, answered."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    numbers = itertools.count()

    def serve(stream):
        reader = stream.makefile("rb", buffering=0)
        with stream:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = reader.read(4096)
                    if not piece:
                        return
                    head += piece
                head, body = head.split(b"\r\n\r\n", 1)
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
                with open(f"{folder}/{next(numbers)}", "wb", buffering=0) as file:
                    sha256 = hashlib.sha256(body)
                    file.write(body)
                    left, buffer = length - len(body), memoryview(bytearray(1 << 20))
                    while left:
                        read = reader.readinto(buffer[: min(left, len(buffer))])
                        if not read:
                            return
                        sha256.update(buffer[:read])
                        file.write(buffer[:read])
                        left -= read
                    os.fsync(file.fileno())
                stream.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()


class Contender:
    def __init__(self, name, command, port, folder):
        self.name, self.port, self.folder = name, port, folder
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(port)

    def switch_off(self):
        """Only accepting is measured: what follows is bench/pipeline."""
        for queue in ("image", "video", "network"):
            connection = self.connect()
            connection.request("PUT", f"/v1/switches/claims.{queue}", body=json.dumps({"on": False}), headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status < 300, (answer.status, answer.read())

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def large(self, path, size):
        connection = self.connect()
        target = "/v1/tus"
        if self.name != "floor":
            connection.request("POST", target, headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(size)})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201, answer.status
            target = re.sub(r"^https?://[^/]+", "", answer.headers["Location"])
        began, before = time.monotonic(), cpu_seconds(self.process.pid)
        connection.putrequest("PATCH", target)
        for name, value in {**HEADERS, "Upload-Offset": "0", "Content-Length": str(size)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with open(path, "rb") as file:
            connection.sock.sendfile(file)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
        return time.monotonic() - began, cpu_seconds(self.process.pid) - before

    def small(self, bodies):
        """Seconds, CPU seconds, and the latency of each request."""
        local = threading.local()

        def send(body):
            if not hasattr(local, "connection"):
                local.connection = self.connect()
            headers = {**HEADERS, "Upload-Length": str(len(body)), "Content-Length": str(len(body))}
            began = time.monotonic()
            local.connection.request("POST", "/v1/tus", body=body, headers=headers)
            answer = local.connection.getresponse()
            answer.read()
            assert answer.status in (201, 204), answer.status
            return time.monotonic() - began

        began, before = time.monotonic(), cpu_seconds(self.process.pid)
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            latencies = list(pool.map(send, bodies))
        return time.monotonic() - began, cpu_seconds(self.process.pid) - before, latencies

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def photo():
    """The head of a picture; what follows its end is nothing to decoders."""
    folder = tempfile.mkdtemp()
    try:
        binary = arguments.binary
        subprocess.run([binary, "samples", folder], check=True, stdout=subprocess.DEVNULL)
        files = sorted(pathlib.Path(folder).glob("**/*.jpg"), key=lambda f: f.stat().st_size)
        return files[0].read_bytes()
    finally:
        shutil.rmtree(folder)


def contenders(folder):
    port = free_port()
    data = folder / "mediaflow"
    data.mkdir()
    config = data / "mediaflow.toml"
    config.write_text("[limits.upload]\nbytes_max = 109951162777600\n[worker]\ncpu = 1\n")
    ours = Contender("MediaFlow", [arguments.binary, "--config", str(config), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(data / "data")], port, data)
    ours.switch_off()
    yield ours
    port = free_port()
    (folder / "peer").mkdir()
    yield Contender("@tus/server", ["node", arguments.peer, str(port), str(folder / "peer")], port, folder / "peer")
    port = free_port()
    (folder / "floor").mkdir()
    yield Contender("floor", [sys.executable, __file__, "--serve-floor", str(port), str(folder / "floor")], port, folder / "floor")


def burst_of(port, head):
    """What the client says: seconds, latencies, how often it was sent away, and the assets."""
    told = subprocess.run([arguments.client, f"127.0.0.1:{port}", str(arguments.burst), str(head)], check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def told(figures):
    return f"all there after {figures['seconds']:.1f} s; accepted p50 {figures['p50_ms']} p99 {figures['p99_ms']} ms; 429 {figures['refused']} times"


def burst_floor(head):
    port = free_port()
    floor = subprocess.Popen([arguments.client, "floor", f"127.0.0.1:{port}"])
    try:
        wait_for(port)
        print(f"  burst of {arguments.burst} (a server that only answers): {told(burst_of(port, head))}", flush=True)
    finally:
        floor.kill()
        floor.wait()


def burst(head, folder, limits, name):
    port = free_port()
    data = folder / f"burst-{name}"
    data.mkdir()
    config = data / "mediaflow.toml"
    config.write_text(f"{limits}[worker]\ncpu = 1\n")
    ours = Contender("MediaFlow", [arguments.binary, "--config", str(config), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(data / "data")], port, data)
    try:
        ours.switch_off()
        before = cpu_seconds(ours.process.pid)
        figures = burst_of(port, head)
        cpu = cpu_seconds(ours.process.pid) - before
        assert len(set(figures["assets"])) == arguments.burst, "assets are missing"
        missing = 0
        connection = ours.connect()
        for asset in figures["assets"]:
            connection.request("GET", f"/v1/assets/{asset}")
            answer = connection.getresponse()
            answer.read()
            missing += answer.status != 200
        assert not missing, f"{missing} of {arguments.burst} are lost"
        each = f"{cpu / arguments.burst * 1000:.2f} CPU ms each; peak {peak_mib(ours.process.pid):.0f} MiB"
        print(f"  burst of {arguments.burst} ({name}): {told(figures)}; {each}", flush=True)
    finally:
        ours.stop()


def main():
    head = photo()
    if arguments.burst:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            folder = pathlib.Path(folder)
            photograph = folder / "photo.jpg"
            photograph.write_bytes(head)
            burst_floor(photograph)
            burst(photograph, folder, "", "limits as they are")
            burst(photograph, folder, f"[limits.upload]\nconcurrent_max = {arguments.burst + 10}\n", "room for all")
    if arguments.rounds < 1:
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        folder = pathlib.Path(folder)
        size = int(arguments.gigabytes * 1e9)
        large = folder / "large.jpg"
        noise = os.urandom(1 << 20)
        with open(large, "wb") as file:
            file.write(head)
            while file.tell() < size:
                file.write(noise[: size - file.tell()])
        print(f"one file of {size / 1e9:g} GB in one PATCH; {arguments.small} of {SMALL_BYTES // 1000} kB in {CONNECTIONS} connections, each in one POST; {arguments.rounds} rounds")
        running = []
        try:
            for contender in contenders(folder):
                running.append(contender)
            for number in range(arguments.rounds):
                for contender in running:
                    if number == 0:
                        idle = peak_mib(contender.process.pid)
                    seconds, cpu = contender.large(large, size)
                    peak = peak_mib(contender.process.pid)
                    bodies = [(head + os.urandom(16) + noise)[:SMALL_BYTES] for _ in range(arguments.small)]
                    took, small_cpu, latencies = contender.small(bodies)
                    latencies = sorted(latencies)
                    p99 = latencies[int(len(latencies) * 0.99)]
                    print(
                        f"  {contender.name:12} {cpu / (size / 1e9):5.2f} CPU s/GB {size / 1e6 / seconds:6.0f} MB/s  peak {peak:5.0f} MiB   "
                        f"{small_cpu / arguments.small * 1000:5.2f} CPU ms each {arguments.small / took:6.0f}/s  "
                        f"p50 {statistics.median(latencies) * 1000:5.1f} p99 {p99 * 1000:6.1f} ms",
                        flush=True,
                    )
                    # The disk is not the matter; MediaFlow keeps the same bytes once.
                    if contender.name != "MediaFlow":
                        for file in contender.folder.iterdir():
                            file.unlink()
        finally:
            for contender in running:
                contender.stop()


if sys.argv[1:2] == ["--serve-floor"]:
    floor(int(sys.argv[2]), sys.argv[3])
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--binary", default=str(ROOT / "target/release/mediaflow"))
parser.add_argument("--peer", required=True)
parser.add_argument("--client", required=True)
parser.add_argument("--gigabytes", type=float, default=2)
parser.add_argument("--small", type=int, default=2000)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--burst", type=int, default=10_000)
parser.add_argument("--folder", default=None, help="where files are written; the system's temporary folder unless said")
arguments = parser.parse_args()
main()
