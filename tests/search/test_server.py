"""The server: the same answers as the command's, in batches; hostile requests change nothing."""

import asyncio
import base64
import datetime
import io
import ipaddress
import json
import socket
import ssl
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from mmjax.cli.serve import serve
from mmjax.errors import MissingPackageError, UserError
from mmjax.evaluation.predictions import Predictor
from mmjax.search import server, traffic
from mmjax.search.build import build

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:starlette"),
]


@pytest.fixture(scope="module")
def index(embedder, colours, tmp_path_factory):
    return build(embedder, colours[1], tmp_path_factory.mktemp("served") / "index").index


@pytest.fixture
def client(index, embedder):
    app = server.search_app(index, embedder, "<p>page</p>", max_bytes=20_000, rate=10_000)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_searches_are_those_of_the_index(client, index, embedder, colours):
    assert client.get("/").text == "<p>page</p>"
    got = client.post("/search", json={"text": "blue purple", "k": 3})
    assert got.status_code == 200
    expected = index.hits(embedder("words", ["blue purple"])[0], 3)
    assert [hit["name"] for hit in got.json()["hits"]] == [hit.name for hit in expected]
    assert got.json()["notes"] == ["words: 1 of 2 words unknown"]
    content = (colours[1].parent / "pictures" / "red" / "4.png").read_bytes()
    text = base64.b64encode(content).decode()
    for cell in (text, f"data:image/png;base64,{text}"):
        got = client.post("/search", json={"inputs": {"image": cell}, "k": 1}).json()
        assert got["hits"][0]["name"] == "pictures/red/4.png"


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"{", 400, "expected JSON"),
        (b"[" * 5000, 400, "expected JSON"),
        (b"[1]", 400, "expected a JSON object, got list"),
        (b"\xff\xfe", 400, "expected JSON"),
        (b"{}", 422, "expected {"),
        (b'{"text": 3}', 422, "words: expected a text, got int"),
        (b'{"text": "purple"}', 422, "none of its words is known"),
        (b'{"text": "red", "k": 0}', 422, "k: expected 1 to 1000, got 0"),
        (b'{"text": "red", "k": true}', 422, "k: expected 1 to 1000, got True"),
        (b'{"text": "red", "k": 1e9}', 422, "k: expected 1 to 1000"),
        (b'{"inputs": {"sound": "x"}}', 422, "unknown modality 'sound': choose from image, words"),
        (b'{"inputs": {"image": "/etc/passwd"}}', 422, "image: expected "),
        (b'{"inputs": {"image": "../run/config.json"}}', 422, "image: expected base64"),
        (b'{"inputs": {"image": "aGVsbG8="}}', 422, "expected a "),
        (b'{"inputs": {"image": {"path": "/etc/passwd"}}}', 422, "image: expected a text, got di"),
        (b'{"inputs": {}}', 422, "expected {"),
        (b'{"text": "' + b"a" * 30_000 + b'"}', 413, "expected at most 20,000 bytes"),
    ],
)
def test_a_bad_request_is_told_why_and_the_next_is_answered(
    client, colours, content, status, message
):
    got = client.post("/search", content=content)
    assert got.status_code == status and message in got.json()["error"]
    assert "root:" not in got.text and str(colours[0].parent) not in got.text
    assert client.post("/search", json={"text": "red"}).status_code == 200


def test_other_addresses_and_methods_are_refused(client):
    assert client.get("/search").status_code == 405
    for path in ("/index.json", "/../index.json", "/%2e%2e/run/config.json", "/etc/passwd"):
        assert client.get(path).status_code == 404


def test_who_asks_too_often_is_told_to_wait(index, embedder):
    app = server.search_app(index, embedder, "", max_bytes=1000, rate=3)
    with TestClient(app) as client:
        codes = [client.get("/").status_code for _ in range(20)]
    assert codes.count(200) >= 3 and codes.count(429) >= 10


def test_what_waits_is_computed_together_and_a_failure_is_told_to_its_batch_only():
    sizes = []

    def function(values):
        sizes.append(len(values))
        if "bad" in values:
            raise ValueError("bad")
        return [2 * value for value in values]

    async def asked():
        batches = traffic.Batches(function)
        task = asyncio.create_task(batches.run())
        first = await asyncio.gather(*map(batches, range(300)))
        with pytest.raises(ValueError, match="bad"):
            await batches("bad")
        last = await batches(4)
        task.cancel()
        return first, last

    first, last = asyncio.run(asked())
    assert first == [2 * value for value in range(300)] and last == 8
    assert max(sizes) == 128 and len(sizes) <= 6


def test_without_the_extra_the_command_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'mmjax\[serve\]' \(uvicorn is"):
        serve(Path("index"))


def test_a_connection_without_a_whole_head_is_closed(monkeypatch):
    monkeypatch.setattr(traffic, "READING", 0.3)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, port=0, http=traffic.Impatient, ws="none", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    address = running.servers[0].sockets[0].getsockname()
    with socket.create_connection(address, timeout=10) as slow:
        slow.sendall(b"POST /search HT")
        assert slow.recv(100) == b""  # closed
    with socket.create_connection(address, timeout=10) as whole:
        whole.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert whole.recv(100).startswith(b"HTTP/1.1 204")
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def certificate(tmp_path):
    """(certificate, private key): PEM files for 127.0.0.1, signed by itself."""
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(begin - datetime.timedelta(days=1))
        .not_valid_after(begin + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(own, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(private)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_with_a_certificate_the_server_speaks_https_alone(finished, certificate, monkeypatch):
    cert, private = certificate
    servers = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self: servers.append(self))
    serve(finished[0], port=0, tls_cert=cert, tls_key=private)
    monkeypatch.undo()
    (running,) = servers
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    host, port = running.servers[0].sockets[0].getsockname()
    context = ssl.create_default_context(cafile=cert)
    with urllib.request.urlopen(f"https://{host}:{port}/", context=context, timeout=10) as answer:
        assert json.load(answer)["post"] == "/predict"
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{host}:{port}/", timeout=10)
    running.should_exit = True
    thread.join(10)


def test_a_certificate_without_its_key_is_refused(tmp_path):
    (tmp_path / "cert.pem").write_text("")
    with pytest.raises(UserError, match="expected --tls-key beside it"):
        serve(Path("run"), tls_cert=tmp_path / "cert.pem")
    with pytest.raises(UserError, match=r"--tls-key .*no\.pem: expected a PEM file, got no file"):
        serve(Path("run"), tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "no.pem")


def test_a_full_queue_is_refused(monkeypatch):
    monkeypatch.setattr(traffic, "WAITING", 2)

    async def asked():
        batches = traffic.Batches(list)  # that nobody runs
        waiting = [asyncio.create_task(batches(value)) for value in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException, match="busy"):
            await batches(3)
        for task in waiting:
            task.cancel()

    asyncio.run(asked())


def test_predictions_are_those_of_the_run(finished):
    predictor = Predictor(finished[0])
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(3):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(file, "PNG")
        pictures.append(file.getvalue())
    rows = [{"image": base64.b64encode(p).decode(), "text": "this is seven"} for p in pictures]
    rows.append({"text": "zero", "image": None})
    app = server.predict_app(predictor, max_bytes=100_000, rate=10_000)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert "image" in client.get("/").json()["modalities"]
        got = client.post("/predict", json={"rows": rows}).json()
        for bad in ({"rows": []}, {"rows": [3]}, {"rows": [{"x": 1}]}, {"rows": 3}):
            assert client.post("/predict", json=bad).status_code == 422
    read = predictor.preprocessing.transforms["image"].read
    direct = [{"image": read(p, Path()), "text": "this is seven"} for p in pictures]
    expected = predictor([*direct, {"text": "zero"}])
    assert json.dumps(got["predictions"]) == json.dumps(expected)
    assert got["notes"][3] == ["image was missing"]
