"""sora models pull against a hub on this machine that speaks Hugging Face's HTTP and misbehaves as networks do."""

import hashlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
_cache = os.environ.get("SORA_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "sora")
REFERENCE_PYTHON = pathlib.Path(_cache) / "python" / "bin" / "python"  # of scripts/python-env
SMALL_MODEL = ROOT / "tests" / "data" / "pipelines" / "t2v_unipc"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BIG = bytes(range(256)) * 4096  # 1 MiB, stored as a large file
FILES = {
    "model_index.json": b'{"_class_name": "WanPipeline"}',
    "transformer/diffusion_pytorch_model.safetensors": BIG,
    "vae/diffusion_pytorch_model.safetensors": BIG[::-1],
    "empty.txt": b"",
    "pytorch_model.bin": b"a pickle",
    "assets/picture.png": b"a picture",
}


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(path):
    return path.endswith(".safetensors")


class Hub:
    """What the server does, and what it was asked."""

    def __init__(self):
        self.cut_after = None  # bytes of a body after which the connection is closed
        self.ranges = True
        self.token = None
        self.corrupt = False
        self.error_times = 0  # answers of 503 before all is well
        self.requests = []
        self.old_name = None  # of the repository, whose files are now elsewhere in the hub
        self.storage = None  # endpoint of another server that large files are redirected to


def make_handler(hub):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body=b"", headers=(), send_body=True):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if not any(name == "Content-Length" for name, _ in headers):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not send_body:
                return
            if hub.cut_after is not None and len(body) > hub.cut_after:
                self.wfile.write(body[: hub.cut_after])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.wfile.write(body)

        def do_HEAD(self):
            self.respond(send_body=False)

        def do_GET(self):
            self.respond(send_body=True)

        def respond(self, send_body):
            hub.requests.append((self.command, self.path, dict(self.headers)))
            if hub.error_times > 0:
                hub.error_times -= 1
                return self.answer(503)
            if self.path.startswith("/storage/"):
                return self.file(self.path.removeprefix("/storage/"), send_body)
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self.answer(401)
            if hub.old_name and self.path.startswith(f"/api/models/{hub.old_name}/"):
                return self.answer(307, b"moved", [("Location", self.path.replace(hub.old_name, "org/name"))], send_body)
            if self.path.startswith("/api/models/org/name/revision/"):
                revision = self.path.rsplit("/", 1)[1]
                if revision not in ("main", "v1", COMMIT):
                    return self.answer(404)
                siblings = [{"rfilename": path} for path in FILES]
                return self.answer(200, json.dumps({"sha": COMMIT, "siblings": siblings}).encode())
            prefix = f"/org/name/resolve/{COMMIT}/"
            if hub.old_name and self.path.startswith(f"/{hub.old_name}/resolve/"):
                return self.answer(307, b"moved", [("Location", self.path.replace(hub.old_name, "org/name"))], send_body)
            if not self.path.startswith(prefix):
                return self.answer(404)
            path = self.path.removeprefix(prefix)
            data = FILES[path]
            if is_large(path) and hub.storage:
                linked = [("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"'),
                          ("X-Linked-Size", str(len(data))), ("Location", f"{hub.storage}/storage/{path}")]  # fmt: skip
                return self.answer(302, b"", linked)
            self.file(path, send_body)

        def file(self, path, send_body):
            data = FILES[path]
            etag = hashlib.sha256(data).hexdigest() if is_large(path) else git_sha1(data)
            if hub.corrupt and is_large(path):
                data = data[:-1] + b"!"
            headers = [("ETag", f'"{etag}"')]
            asked = self.headers.get("Range")
            if asked and hub.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                headers.append(("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"))
                return self.answer(206, data[start:], headers, send_body)
            self.answer(200, data, [*headers, ("Content-Length", str(len(data)))], send_body)

    return Handler


def serve(hub):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make_handler(hub))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def hub():
    hub = Hub()
    server, hub.endpoint = serve(hub)
    yield hub
    server.shutdown()


@pytest.fixture
def pull(hub, tmp_path):
    def run(*arguments, model="org/name", **environment):
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path),
                    "HOME": str(tmp_path), "PATH": os.environ["PATH"], **environment}  # fmt: skip
        return subprocess.run(
            [SORA, "models", "pull", model, "--progress", "none", *arguments],
            env=settings, capture_output=True, text=True, timeout=120)  # fmt: skip

    return run


@pytest.fixture
def small_model(monkeypatch):
    """The hub holds a small model that diffusers wrote, instead of the files above."""
    files = {str(path.relative_to(SMALL_MODEL)): path.read_bytes() for path in SMALL_MODEL.rglob("*") if path.is_file()}
    assert len(files) > 5
    monkeypatch.setitem(globals(), "FILES", files)


def run_offline(tmp_path, *command):
    """With the cache that was pulled into, and no hub to ask."""
    environment = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9",
                   "HOME": str(tmp_path), "SORA_CACHE": str(tmp_path / "sora"), "PATH": os.environ["PATH"]}  # fmt: skip
    return subprocess.run([*map(str, command)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)


def wanted():
    return {path: data for path, data in FILES.items() if not path.endswith((".bin", ".png"))}


def check_cache(cache):
    """The layout of huggingface_hub: contents, links, blobs by their digests, the revision."""
    model = cache / "models--org--name"
    snapshot = model / "snapshots" / COMMIT
    found = {str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()}
    assert found == set(wanted())
    for path, data in wanted().items():
        link = snapshot / path
        assert link.read_bytes() == data
        assert link.is_symlink() and not os.path.isabs(os.readlink(link))
        blob = link.resolve()
        assert blob.parent == model.resolve() / "blobs"
        assert blob.name == (hashlib.sha256(data).hexdigest() if is_large(path) else git_sha1(data))
    assert not list((model / "blobs").glob("*.incomplete"))
    return model


def test_a_repository_that_was_renamed_is_found(hub, pull, tmp_path):
    hub.old_name = "old/title"
    result = pull(model="old/title")
    assert result.returncode == 0, result.stderr
    snapshot = tmp_path / "cache/models--old--title/snapshots" / COMMIT
    assert {path: (snapshot / path).read_bytes() for path in wanted()} == wanted()


def test_a_model_lands_in_the_cache_as_python_tools_have_it(pull, tmp_path):
    result = pull()
    assert result.returncode == 0, result.stderr
    model = check_cache(tmp_path / "cache")
    assert (model / "refs" / "main").read_text() == COMMIT
    assert result.stdout.strip() == str(model / "snapshots" / COMMIT)


def test_cut_connections_are_taken_up_where_they_ended(pull, hub, tmp_path):
    hub.cut_after = 200_000
    result = pull()
    assert result.returncode == 0, result.stderr
    check_cache(tmp_path / "cache")
    ranges = [headers["Range"] for command, _, headers in hub.requests if "Range" in headers and command == "GET"]
    assert "bytes=200000-" in ranges and "bytes=1000000-" in ranges


def test_a_server_without_ranges_is_asked_for_the_whole(pull, hub, tmp_path):
    blobs = tmp_path / "cache" / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / (hashlib.sha256(BIG).hexdigest() + ".incomplete")).write_bytes(BIG[:5000])
    hub.ranges = False
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")


def test_a_begun_file_is_finished(pull, hub, tmp_path):
    blobs = tmp_path / "cache" / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / (hashlib.sha256(BIG).hexdigest() + ".incomplete")).write_bytes(BIG[:5000])
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")
    assert any(headers.get("Range") == "bytes=5000-" for _, _, headers in hub.requests)


@pytest.fixture
def small_disk(tmp_path):
    """The cache, on a disk of 3 MiB."""
    cache = tmp_path / "cache"
    cache.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", cache]).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    yield cache
    subprocess.run(["umount", cache], check=True)


def test_what_is_there_of_a_file_needs_no_room(pull, small_disk):
    blobs = small_disk / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    for data in (BIG, BIG[::-1]):
        (blobs / (hashlib.sha256(data).hexdigest() + ".incomplete")).write_bytes(data[:-50_000])
    result = pull()
    assert result.returncode == 0, result.stderr
    check_cache(small_disk)


def test_files_that_are_the_same_are_counted_once(pull, small_disk, monkeypatch):
    for copy in range(4):
        monkeypatch.setitem(FILES, f"copy{copy}/diffusion_pytorch_model.safetensors", BIG)
    result = pull()
    assert result.returncode == 0, result.stderr
    check_cache(small_disk)


def test_a_damaged_beginning_is_loaded_again(pull, tmp_path):
    blobs = tmp_path / "cache" / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / (hashlib.sha256(BIG).hexdigest() + ".incomplete")).write_bytes(b"?" * 5000)
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")


def test_what_is_there_is_not_loaded_again(pull, hub):
    assert pull().returncode == 0
    hub.requests.clear()
    assert pull().returncode == 0
    assert not [path for command, path, _ in hub.requests if command == "GET" and "resolve" in path]


def test_wrong_bytes_are_not_kept(pull, hub, tmp_path):
    hub.corrupt = True
    result = pull()
    assert result.returncode == 3
    assert "digest" in result.stderr
    blobs = tmp_path / "cache" / "models--org--name" / "blobs"
    assert not [path for path in blobs.iterdir() if path.stat().st_size == len(BIG)]
    assert not (tmp_path / "cache" / "models--org--name" / "refs").exists()


def test_a_hub_that_is_overloaded_for_a_while_is_asked_again(pull, hub, tmp_path):
    hub.error_times = 2
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")


def test_the_token_goes_to_the_hub_and_not_to_its_storage(pull, hub, tmp_path):
    storage = Hub()
    server, storage.endpoint = serve(storage)
    hub.token, hub.storage = "hf_secret", storage.endpoint.replace("127.0.0.1", "localhost")
    refused = pull()
    assert refused.returncode == 8 and "HF_TOKEN" in refused.stderr
    result = pull(HF_TOKEN="hf_secret")
    server.shutdown()
    assert result.returncode == 0, result.stderr
    check_cache(tmp_path / "cache")
    assert storage.requests and not any("Authorization" in headers for _, _, headers in storage.requests)
    assert "hf_secret" not in result.stderr + result.stdout


def test_the_stored_token_is_used(pull, hub, tmp_path):
    hub.token = "hf_stored"
    (tmp_path / "token").write_text("hf_stored\n")
    assert pull().returncode == 0


@pytest.mark.parametrize("model", ["org/other", "org/name@nothing"])
def test_what_is_not_there_is_not_found(pull, model):
    result = pull(model=model)
    assert result.returncode == 4
    assert model.split("@")[0] in result.stderr


def test_another_revision_has_its_own_entry(pull, tmp_path):
    assert pull(model="org/name@v1").returncode == 0
    refs = check_cache(tmp_path / "cache") / "refs"
    assert [path.name for path in refs.iterdir()] == ["v1"]


def test_offline_means_no_request(pull, hub):
    assert pull("--offline").returncode == 8
    assert pull(HF_HUB_OFFLINE="1").returncode == 8
    assert hub.requests == []


def test_include_chooses_files(pull, tmp_path):
    assert pull("--include", "vae/*", "--include", "model_index.json").returncode == 0
    snapshot = tmp_path / "cache" / "models--org--name" / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {"vae", "model_index.json"}


def test_one_file_is_pulled_by_the_name_that_runs_it(pull, tmp_path):
    result = pull(model="org/name/vae/diffusion_pytorch_model.safetensors")
    snapshot = tmp_path / "cache" / "models--org--name" / "snapshots" / COMMIT
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(snapshot / "vae" / "diffusion_pytorch_model.safetensors")
    assert [path for path in snapshot.rglob("*") if path.is_file()] == [pathlib.Path(result.stdout.strip())]


def test_what_is_there_is_told_where_nothing_matches(pull):
    for arguments, model in ((["--include", "*.gguf"], "org/name"), ([], "org/name/wan.gguf")):
        result = pull(*arguments, model=model)
        assert result.returncode == 4
        assert "vae/diffusion_pytorch_model.safetensors" in result.stderr and ".gguf" in result.stderr


@pytest.mark.parametrize("path", ["../escape.json", "/etc/escape.json", "a/../../escape.json"])
def test_a_listed_path_that_leads_out_is_refused(pull, monkeypatch, path):
    monkeypatch.setitem(FILES, path, b"{}")
    assert pull().returncode == 3


def test_no_hub_at_all_is_one_sentence(pull):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = pull(HF_ENDPOINT=f"http://127.0.0.1:{port}")
    assert result.returncode == 6
    assert len(result.stderr.strip().splitlines()) == 1


def test_verify_tells_a_damaged_file(pull, tmp_path):
    assert pull().returncode == 0
    model = check_cache(tmp_path / "cache")
    environment = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [SORA, "models", "verify", "org/name", "--progress", "none"]
    fine = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert fine.returncode == 0 and fine.stdout.count("ok ") == len(wanted()), fine.stderr
    blob = model / "blobs" / hashlib.sha256(BIG).hexdigest()
    blob.write_bytes(BIG[:-1] + b"!")
    damaged = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert damaged.returncode == 3 and "transformer/diffusion_pytorch_model.safetensors" in damaged.stderr
    # What it advises mends it.
    assert f"remove {blob} and pull the model again" in damaged.stderr
    blob.unlink()
    missing = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert missing.returncode == 3 and "missing files: transformer/diffusion_pytorch_model.safetensors; pull" in missing.stderr
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")
    assert subprocess.run(command, env=environment, capture_output=True, text=True).returncode == 0


def test_a_blob_of_another_size_is_loaded_anew(pull, tmp_path):
    assert pull().returncode == 0
    blob = tmp_path / "cache/models--org--name/blobs" / hashlib.sha256(BIG).hexdigest()
    blob.write_bytes(BIG[:-1])
    assert pull().returncode == 0
    check_cache(tmp_path / "cache")


OPEN_IN_PYTHON = """
import json, sys
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache
folder = snapshot_download("org/name")
files = {path: hf_hub_download("org/name", path) for path in sys.argv[1:]}
cached = {path: try_to_load_from_cache("org/name", path) for path in sys.argv[1:]}
scan = scan_cache_dir()
(model,) = scan.repos
(revision,) = model.revisions
print(json.dumps({"folder": folder, "files": files, "cached": cached, "repository": model.repo_id, "refs": sorted(revision.refs),
                  "commit": revision.commit_hash, "bytes": model.size_on_disk, "warnings": [str(each) for each in scan.warnings]}))
"""


@pytest.mark.skipif(not REFERENCE_PYTHON.exists(), reason="needs the Python of scripts/python-env")
def test_a_pulled_model_is_opened_by_huggingface_hub_offline(small_model, pull, tmp_path):
    result = pull()
    assert result.returncode == 0, result.stderr
    opened = run_offline(tmp_path, REFERENCE_PYTHON, "-c", OPEN_IN_PYTHON, *FILES)
    assert opened.returncode == 0, opened.stderr
    told = json.loads(opened.stdout)
    assert told["folder"] == result.stdout.strip()
    assert told["files"] == told["cached"] == {path: f"{told['folder']}/{path}" for path in FILES}
    assert {path: pathlib.Path(file).read_bytes() for path, file in told["files"].items()} == FILES
    assert (told["repository"], told["refs"], told["commit"]) == ("org/name", ["main"], COMMIT)
    assert told["bytes"] == sum(len(data) for data in {data: data for data in FILES.values()}) and told["warnings"] == []


def test_a_pulled_model_is_run_by_its_name_offline(small_model, pull, tmp_path):
    assert pull().returncode == 0

    def clip(model, output):
        made = run_offline(tmp_path, SORA, "generate", "a red ball", "-m", model, "--size", "48x32", "--frames", 5, "--steps", 2,
                           "--seed", 1, "--dtype", "f32", "-o", output)  # fmt: skip
        assert made.returncode == 0, made.stderr
        return (tmp_path / output).read_bytes()

    assert clip("org/name", "pulled.y4m") == clip(SMALL_MODEL, "directory.y4m")
    assert clip(f"org/name@{COMMIT}", "commit.y4m") == clip(SMALL_MODEL, "again.y4m")


def test_list_and_show_know_a_pulled_model(small_model, pull, tmp_path):
    assert pull().returncode == 0
    listed = json.loads(run_offline(tmp_path, SORA, "models", "list", "--json").stdout)["models"]
    assert ["org/name", "hub cache"] in [[entry["name"], entry["kind"]] for entry in listed]
    shown = run_offline(tmp_path, SORA, "models", "show", "org/name", "--json")
    assert shown.returncode == 0 and json.loads(shown.stdout)["path"].endswith(COMMIT)


def test_a_model_that_was_not_pulled_is_told_how_to_be(tmp_path):
    result = run_offline(tmp_path, SORA, "generate", "a red ball", "-m", "org/name", "-o", "clip.y4m")
    assert result.returncode == 4
    assert "sora models pull org/name" in result.stderr and len(result.stderr.strip().splitlines()) == 1
