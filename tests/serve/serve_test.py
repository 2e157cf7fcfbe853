"""`sora serve` as its clients see it: the `openai` package with another base URL, and plain HTTP where a client is hostile.

The model is a tiny one that diffusers wrote; clips take about a second each.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import site
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
MODEL = ROOT / "tests/data/pipelines/t2v_unipc"
PATIENCE_S = 240
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

_python = subprocess.run([ROOT / "scripts/python-env", "openai"], check=True, capture_output=True, text=True).stdout.strip()
_code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
site.addsitedir(subprocess.run([_python, "-c", _code], check=True, capture_output=True, text=True).stdout.strip())
import openai  # noqa: E402  the real client, from the environment just named


class Server:
    """A running `sora serve` with its queue, on a free port."""

    def __init__(self, folder, *options, jobs=1, environment=None, errors=None):
        self.folder = folder
        self.errors = errors
        self.environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config"),
                            **(environment or {})}
        self.environment.pop("SORA_PLAN", None)
        self.arguments = [SORA, "serve", "--port", "0", "--queue", folder / "queue", "--model", MODEL, "--jobs", str(jobs), *options,
                          "--steps", "2", "--dtype", "f32", "--fps", "4"]
        self.start()

    def start(self):
        self.process = subprocess.Popen([str(argument) for argument in self.arguments], stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=self.environment, cwd=self.folder)
        self.base_url = self.process.stdout.readline().strip()
        assert self.base_url.startswith("http://127.0.0.1:"), self.base_url
        self.port = int(self.base_url.split(":")[2].split("/")[0])

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)

    def client(self, token="none"):
        return openai.OpenAI(base_url=self.base_url, api_key=token, max_retries=0, timeout=PATIENCE_S)

    def ask(self, method, path, body=None, headers=None):
        """A request without a client's manners; status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()

    def ask_all(self, *arguments, **more):
        """Status, headers and body."""
        status, body = self.ask(*arguments, **more)
        return status, self.headers, body

    def send(self, request):
        """A socket on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.sendall(request)
        return connection

    def run(self, *arguments):
        return subprocess.run([str(SORA), *map(str, arguments)], env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    shutil.copytree(MODEL, folder / "model")
    server = Server(folder, "--model", folder / "model")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """A server that makes nothing by itself."""
    folder = tmp_path_factory.mktemp("waiting")
    (folder / "policy.toml").write_text('[[rule]]\nid = "logos"\nreason = "trade marks"\nany = ["acme"]\n')
    server = Server(folder, jobs=0, environment={"SORA_POLICY": str(folder / "policy.toml")})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def video(server):
    """A completed video."""
    video = server.client().videos.create_and_poll(prompt="a red ball", model="sora-2", seconds="4", size="64x48")
    assert video.status == "completed", video
    return video


def picture(width=64, height=48):
    out = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={width}x{height}", "-frames:v", "1", "-f", "image2pipe", "-c:v",
                          "png", "-"], check=True, capture_output=True)
    return out.stdout


def wait_until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def probe(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height,codec_name:format=duration", "-of",
                          "json", path], check=True, capture_output=True, text=True)
    found = json.loads(out.stdout)
    return {**found["streams"][0], "duration": float(found["format"].get("duration", 0))}


def test_a_video_is_created_polled_and_downloaded(server, video, tmp_path):
    assert video.id.startswith("video_") and video.object == "video"
    assert (video.progress, video.prompt, video.seconds, video.size, video.model) == (100, "a red ball", "4", "64x48", "sora-2")
    assert video.created_at <= video.completed_at <= time.time() + 1
    assert video.error is None and video.remixed_from_video_id is None
    server.client().videos.download_content(video.id).write_to_file(tmp_path / "clip.mp4")
    found = probe(tmp_path / "clip.mp4")
    assert (found["width"], found["height"]) == (64, 48)
    assert found["duration"] == pytest.approx(4, abs=0.3)


def test_thumbnail_and_spritesheet(server, video, tmp_path):
    for variant, size in [("thumbnail", (64, 48)), ("spritesheet", (256, 192))]:
        server.client().videos.download_content(video.id, variant=variant).write_to_file(tmp_path / variant)
        found = probe(tmp_path / variant)
        assert (found["codec_name"], found["width"], found["height"]) == ("webp", *size)
    with pytest.raises(openai.BadRequestError):
        server.client().videos.download_content(video.id, variant="../video")


def test_a_range_of_the_file(server, video):
    path = f"/v1/videos/{video.id}/content"
    status, whole = server.ask("GET", path)
    assert status == 200
    status, part = server.ask("GET", path, headers={"Range": "bytes=10-99"})
    assert (status, part) == (206, whole[10:100])


def test_ranges_past_the_end(server, video):
    path = f"/v1/videos/{video.id}/content"
    whole = server.ask("GET", path)[1]
    size = len(whole)
    for asked, first, last in [(f"0-{size + 100_000}", 0, size - 1), (f"{size - 5}-", size - 5, size - 1), ("-7", size - 7, size - 1),
                               (f"-{size + 1}", 0, size - 1), (f"{size + 5}-,3-4", 3, 4)]:
        status, headers, body = server.ask_all("GET", path, headers={"Range": f"bytes={asked}"})
        assert (status, body) == (206, whole[first:last + 1])
        assert headers["Content-Range"] == f"bytes {first}-{last}/{size}" and headers["Content-Length"] == str(len(body))
    for asked in [f"{size}-", f"{size + 5}-{size + 9}", "-0", ",".join(f"{first}-{first}" for first in range(17))]:
        status, headers, body = server.ask_all("GET", path, headers={"Range": f"bytes={asked}"})
        assert (status, json.loads(body)["error"]["code"]) == (416, "range_not_satisfiable")
        assert headers["Content-Range"] == f"bytes */{size}"


def test_only_the_video_has_ranges(server, video):
    for path in [f"/v1/videos/video_{'0' * 32}/content", "/v1/videos/video_x", "/v1/models", f"/v1/videos/{video.id}",
                 f"/v1/videos/{video.id}/content?variant=thumbnail"]:
        assert server.ask("GET", path, headers={"Range": "bytes=0-9"}) == server.ask("GET", path)
    status, body = server.ask("GET", "/v1/models", headers={"Range": "bytes=0-9", "Host": "evil.example"})
    assert status == 403 and json.loads(body)


def test_remix_names_its_source(server, video):
    client = server.client()
    remix = client.videos.remix(video.id, prompt="a blue ball")
    assert remix.remixed_from_video_id == video.id and remix.status == "queued" and remix.prompt == "a blue ball"
    assert client.videos.poll(remix.id).status == "completed"


def test_a_remix_outlives_its_source(server):
    client = server.client()
    source = client.videos.create_and_poll(prompt="a ball", size="64x48")
    assert source.status == "completed"
    assert server.run("queue", "pause", "--queue", "queue").returncode == 0
    uploads = server.folder / "queue/.sora/uploads"
    before = set(uploads.iterdir())
    remix = client.videos.remix(source.id, prompt="a blue ball")
    client.videos.delete(source.id)
    assert len(set(uploads.iterdir()) - before) == 1
    assert server.run("queue", "unpause", "--queue", "queue").returncode == 0
    assert client.videos.poll(remix.id).status == "completed"
    client.videos.delete(remix.id)
    assert set(uploads.iterdir()) == before


def test_a_picture_to_begin_with(waiting):
    client = waiting.client()

    def upload_of(order):
        job = next(job["job"] for job in map(json.loads, waiting.run("queue", "list", "--json", "--queue", "queue").stdout.splitlines())
                   if order in job["job"]["output"])
        return pathlib.Path(next(word for word in job["command"] if word.startswith("--image=")).split("=", 1)[1])

    def order_in_json(url):
        body = json.dumps({"prompt": "a ball", "size": "64x48", "input_reference": {"image_url": url}}).encode()
        status, answer = waiting.ask("POST", "/v1/videos", body, {"Content-Type": "application/json"})
        return status, json.loads(answer)

    by_form = client.videos.create(prompt="a ball", input_reference=("first.png", picture(), "image/png"), size="64x48").id
    status, by_json = order_in_json("data:image/png;base64," + base64.b64encode(picture()).decode())
    assert status == 200
    for order in [by_form, by_json["id"]]:
        upload = upload_of(order)
        assert upload.read_bytes() == picture()
        client.videos.delete(order)
        assert not upload.exists()
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(prompt="a ball", input_reference=("first.png", b"not a picture", "image/png"))
    assert caught.value.code == "invalid_image"
    for url in ["http://127.0.0.1:1/first.png", "file:///etc/passwd", "data:image/png;base64,***"]:
        status, answer = order_in_json(url)
        assert (status, answer["error"]["code"]) == (400, "invalid_image_url")
    assert list((waiting.folder / "queue/.sora/uploads").iterdir()) == []


def test_json_does_as_well_as_a_form(waiting):
    body = json.dumps({"prompt": "a ball", "seconds": 8, "size": "64x48"}).encode()
    status, answer = waiting.ask("POST", "/v1/videos", body, {"Content-Type": "application/json"})
    order = json.loads(answer)
    assert (status, order["seconds"], order["status"], order["progress"]) == (200, "8", "queued", 0)
    waiting.client().videos.delete(order["id"])


def test_lists_are_pages(waiting):
    client = waiting.client()
    ids = [client.videos.create(prompt=f"ball {number}", size="64x48").id for number in range(5)]
    assert [video.id for video in client.videos.list(limit=2)] == ids[::-1]
    assert [video.id for video in client.videos.list(limit=3, order="asc")] == ids
    page = client.videos.list(limit=2, after=ids[3])
    assert [video.id for video in page.data] == [ids[2], ids[1]] and page.has_more
    for wrong in [{"limit": 0}, {"limit": 101}, {"order": "random"}]:
        with pytest.raises(openai.BadRequestError):
            client.videos.list(**wrong)
    with pytest.raises(openai.NotFoundError):
        client.videos.list(after="video_" + "0" * 32)
    for each in ids:
        assert client.videos.delete(each).deleted
    assert client.videos.list().data == []
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(ids[0])


@pytest.mark.parametrize("wish,code,param", [
    ({"prompt": ""}, "missing_required_parameter", "prompt"),
    ({"model": "/etc/passwd"}, "model_not_found", "model"),
    ({"seconds": "4 --output=/tmp/x"}, "invalid_value", None),
    ({"seconds": "-1"}, "invalid_value", None),
    ({"size": "huge"}, "invalid_value", None),
    ({"extra_body": {"steps": "3"}}, "unknown_parameter", "steps"),
    ({"prompt": "an acme truck"}, "moderation_blocked", None),
])
def test_what_is_wrong_is_told_in_the_clients_terms(waiting, wish, code, param):
    with pytest.raises(openai.BadRequestError) as caught:
        waiting.client().videos.create(**{"prompt": "a ball", **wish})
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")
    assert waiting.client().videos.list().data == []


def test_prompts_are_texts_and_no_options(waiting):
    client = waiting.client()
    for prompt in ["-", "--help", "--output=/tmp/x", "a\nb", "赤いボール", "[1,2]", "gallery:13f0"]:
        order = client.videos.create(prompt=prompt, size="64x48")
        assert order.prompt == prompt
        client.videos.delete(order.id)


def test_paths_lead_nowhere_else(waiting):
    for path in ["/v1/videos/../../etc/passwd", "/v1/videos/%2e%2e%2f%2e%2e%2fetc%2fpasswd/content", "/v1/videos/video_x/content", "/etc/passwd",
                 "/v1/videos/video_" + "0" * 32 + "/content"]:
        status, body = waiting.ask("GET", path)
        assert status == 404 and "error" in json.loads(body)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_web_pages_do_not_get_in(waiting, headers):
    status, body = waiting.ask("POST", "/v1/videos", b"{}", {"Content-Type": "application/json", **headers})
    assert status == 403 and json.loads(body)["error"]["code"] == "forbidden_host"
    assert waiting.client().models.list().data[0].id == str(MODEL)


def answer_on(connection):
    """All that comes until the server closes."""
    answer = b""
    with connection:
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:  # it closed before it had read all
            pass
    return answer


@pytest.mark.parametrize("method,headers", [("POST", b"Origin: http://evil.example\r\n"), ("GET", b"")])
def test_a_body_is_not_the_next_request(waiting, method, headers):
    order = b'{"prompt": "smuggled", "size": "64x48"}'
    inner = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(order), order)
    head = b"%s /v1/videos HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: text/plain\r\n" % (method.encode(), headers)
    filler = b" " * (4096 - len(head) - len(b"Content-Length: 9999\r\n\r\n"))
    body = filler + inner
    answer = answer_on(waiting.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert json.loads(waiting.ask("GET", "/v1/videos")[1])["data"] == []


@pytest.mark.parametrize("method,header", [("POST", b"Transfer-Encoding: chunked\r\n"), ("GET", b"Transfer-Encoding: chunked\r\n"), ("POST", b""),
                                           ("PATCH", b"")])
def test_a_body_without_a_length_is_not_read(waiting, method, header):
    answer = answer_on(waiting.send(b"%s /v1/videos HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (method.encode(), header)))
    assert answer.startswith(b"HTTP/1.1 411 ") and b'"length_required"' in answer


def test_requests_that_never_end_hold_nobody_up(waiting):
    stuck = [waiting.send(b"GET /v1/models HTTP/1.1\r\nHost:") for _ in range(8)]
    begin = time.monotonic()
    assert waiting.ask("GET", "/v1/models")[0] == 200
    assert time.monotonic() - begin < 3
    for connection in stuck:
        connection.close()


def test_a_client_that_dribbles_does_not_keep_the_server_from_ending(tmp_path):
    server = Server(tmp_path, jobs=0)
    connection = server.send(b"GET /v1/models HTTP/1.1\r\nHost: ")
    has_ended = threading.Event()

    def dribble():
        while not has_ended.wait(0.5):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=dribble)
    thread.start()
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    try:
        assert server.process.wait(20) == 0
        assert time.monotonic() - begin < 8
    finally:
        has_ended.set()
        thread.join()
        server.process.kill()


def test_bodies_are_bounded(tmp_path):
    server = Server(tmp_path, "--max-body", "64K", jobs=0)
    try:
        status, body = server.ask("POST", "/v1/videos", b"x" * 100_000, {"Content-Type": "application/json"})
        assert status == 413 and json.loads(body)["error"]["code"] == "request_too_large"
        status, _ = server.ask("POST", "/v1/videos", b"[1, 2", {"Content-Type": "application/json"})
        assert status == 400
    finally:
        server.stop()


def test_messages_do_not_say_where_the_queue_lies(waiting):
    with pytest.raises(openai.BadRequestError) as caught:
        waiting.client().videos.create(prompt="a ball", size="64x48", input_reference=("a.png", picture(9000, 9000), "image/png"))
    message = caught.value.message
    assert "9000x9000" in message and "upload_" in message and str(waiting.folder) not in message


def test_only_the_loopback_address_without_tokens(tmp_path):
    server = Server(tmp_path, jobs=0)
    try:
        rows = [line.split() for table in ("tcp", "tcp6") for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]]
        assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{server.port:04X}")] == [f"0100007F:{server.port:04X}"]
        taken = server.run("serve", "--port", server.port, "--queue", "queue", "--jobs", "2")
        assert taken.returncode == 6 and "is taken" in taken.stderr
        assert len(taken.stderr.splitlines()) == 1  # no worker was started that had to be stopped
        out = server.run("serve", "--address", "0.0.0.0", "--port", "0")
        assert out.returncode == 2 and "--token-file" in out.stderr
    finally:
        server.stop()


def test_tokens_have_their_own_videos_and_plans(tmp_path):
    tokens = tmp_path / "tokens"
    plan = tmp_path / "small.toml"
    plan.write_text('name = "small"\ncredits_per_month = 50\nmax_duration_s = 8\n')
    add = {name: subprocess.run([SORA, "serve", "--token-file", tokens, "--add-token", name, *options], check=True, capture_output=True, text=True).stdout.strip()
           for name, options in [("ann", ["--plan", str(plan)]), ("bob", [])]}
    assert oct(tokens.stat().st_mode & 0o777) == "0o600"
    assert add["ann"] not in tokens.read_text() and hashlib.sha256(add["ann"].encode()).hexdigest() in tokens.read_text()
    server = Server(tmp_path, "--token-file", tokens)
    try:
        for wrong in ["", "none", add["ann"] + "x", add["ann"][:-1]]:
            status, body = server.ask("GET", "/v1/videos", headers={"Authorization": f"Bearer {wrong}"})
            assert status == 401 and json.loads(body)["error"]["code"] == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            server.client("none").videos.create(prompt="a ball")
        # Nobody's body is waited for.
        headers = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        assert b" 401 " in answer_on(server.send(headers))
        ann, bob = server.client(add["ann"]), server.client(add["bob"])
        video = ann.videos.create_and_poll(prompt="a ball", seconds="8", size="64x48")  # 32 of 50 credits
        assert video.status == "completed"
        with pytest.raises(openai.NotFoundError):
            bob.videos.retrieve(video.id)
        assert bob.videos.list().data == []
        with pytest.raises(openai.BadRequestError) as caught:
            ann.videos.create(prompt="a ball", seconds="12", size="64x48")
        assert caught.value.code == "plan_limit"
        with pytest.raises(openai.RateLimitError) as caught:
            ann.videos.create(prompt="a ball", seconds="8", size="64x48")
        assert caught.value.code == "insufficient_quota" and "4 s of this size" in caught.value.message
        bob.videos.create(prompt="a ball", seconds="12", size="64x48")
        balance = json.loads(server.run("credits", "--plan", plan, "--account", "ann", "--json").stdout)
        assert (balance["left"], balance["used"], balance["reserved"]) == (18, 32, 0)
    finally:
        server.stop()
    tokens.chmod(0o666)
    out = server.run("serve", "--port", "0", "--queue", "queue", "--jobs", "0", "--token-file", tokens)
    assert out.returncode == 3 and "others may write" in out.stderr


def test_a_token_file_takes_what_the_server_reads(tmp_path):
    tokens = tmp_path / "tokens"

    def add(name, *options):
        return subprocess.run([SORA, "serve", "--token-file", tokens, "--add-token", name, *options], cwd=tmp_path, capture_output=True, text=True)

    (tmp_path / "small.toml").write_text('name = "small"\ncredits_per_month = 50\n')
    assert add("ann", "--plan", "./small.toml").returncode == 0
    assert tokens.read_text().split()[1] == str(tmp_path / "small.toml")
    tokens.write_text(tokens.read_text().rstrip("\n"))  # as an editor may leave it
    assert add("bob").returncode == 0
    assert [line.split()[0] for line in tokens.read_text().splitlines()] == ["ann", "bob"]
    (tmp_path / "a small.toml").write_text('name = "small"\n')
    out = add("eve", "--plan", "a small.toml")
    assert out.returncode == 2 and "has a blank in its path" in out.stderr and "eve" not in tokens.read_text()
    (tmp_path / "small.toml").unlink()
    out = subprocess.run([SORA, "serve", "--port", "0", "--queue", "queue", "--jobs", "0", "--token-file", tokens], cwd=tmp_path, capture_output=True,
                         text=True, timeout=PATIENCE_S)
    assert out.returncode == 4 and "the plan of 'ann'" in out.stderr and "small.toml" in out.stderr


def test_a_model_that_is_not_there_ends_the_server_before_its_address(tmp_path):
    out = subprocess.run([SORA, "serve", "--port", "0", "--queue", "queue", "--jobs", "0", "--model", "nonesuch"], cwd=tmp_path, capture_output=True,
                         text=True, timeout=PATIENCE_S)
    assert out.returncode == 4 and "nonesuch" in out.stderr and out.stdout == ""


def test_a_failed_video_says_so(server):
    """Its model is gone when its turn comes."""
    client = server.client()
    model = server.folder / "model"
    assert server.run("queue", "pause", "--queue", "queue").returncode == 0
    order = client.videos.create(prompt="a ball", model=str(model), size="64x48")
    shutil.rmtree(model)
    assert server.run("queue", "unpause", "--queue", "queue").returncode == 0
    failed = client.videos.poll(order.id)
    assert failed.status == "failed" and failed.error.code == "video_generation_failed" and str(model) in failed.error.message
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.download_content(order.id)
    assert caught.value.code == "video_not_ready"


def test_a_server_that_is_stopped_says_so_once(tmp_path):
    with open(tmp_path / "errors", "w+") as errors:
        server = Server(tmp_path, jobs=2, errors=errors)
        time.sleep(2)  # until the workers run
        server.stop()
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line]
    assert len([line for line in lines if line.startswith("stopping")]) == 1
    assert len(lines) == 2, lines  # the queue it serves, and that it stops


def test_jobs_outlive_the_server(tmp_path):
    server = Server(tmp_path, jobs=0)
    first = server.client().videos.create(prompt="a ball", size="64x48")
    server.stop(signal.SIGKILL)
    server.arguments[server.arguments.index("--jobs") + 1] = "1"
    server.start()
    try:
        assert server.client().videos.poll(first.id).status == "completed"
        before = server.client().videos.download_content(first.id).content
        server.stop()
        server.start()
        assert server.client().videos.download_content(first.id).content == before
    finally:
        server.stop()


def test_an_order_that_is_refused_leaves_no_upload(waiting):
    before = set((waiting.folder / "queue/.sora/uploads").glob("*"))
    with pytest.raises(openai.BadRequestError):
        waiting.client().videos.create(prompt="a red ball", model="nope", input_reference=("a.png", picture(), "image/png"))
    assert set((waiting.folder / "queue/.sora/uploads").glob("*")) == before


def test_a_deletion_outlives_the_server(tmp_path):
    server = Server(tmp_path)
    video = server.client().videos.create(prompt="a red ball", model="sora-2", seconds="20", size="320x192")
    wait_until(lambda: server.client().videos.retrieve(video.id).status == "in_progress")
    assert server.client().videos.delete(video.id).deleted
    server.process.kill()
    server.process.wait()
    server.start()
    try:
        assert server.client().videos.list().data == []
        wait_until(lambda: not list((tmp_path / "queue/.sora/work").iterdir()))
    finally:
        server.stop()


def test_a_running_video_is_deleted_and_the_next_is_made(server):
    client = server.client()
    long = client.videos.create(prompt="a ball", size="320x192", seconds="60")
    wait_until(lambda: client.videos.retrieve(long.id).status == "in_progress")
    assert client.videos.delete(long.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(long.id)
    assert client.videos.create_and_poll(prompt="a ball", size="64x48").status == "completed"
