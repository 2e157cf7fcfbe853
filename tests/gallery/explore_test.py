"""`sora explore` in a real browser: clips of the built-in model, and clips whose names and prompts mean harm."""

import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("webdriver", pathlib.Path(__file__).with_name("webdriver.py"))
webdriver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(webdriver)

SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
pytestmark = pytest.mark.skipif(not webdriver.is_installed(), reason="chromium and chromedriver are not installed")

HOSTILE = [
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>",
    "\"><svg/onload=window.hacked=3> ' onmouseover='window.hacked=4' </title></textarea></script><script>hacked=5</script>",
    "javascript:window.hacked=6 ${window.hacked=7} {{constructor.constructor('window.hacked=8')()}} <!-- -- ]]>",
    "\u202eright to left\u202c مرحبا بالعالم \u2066 \u05e9\u05dc\u05d5\u05dd",
    "escape \x1b[31mred\x1b]0;title\x07 bell \x9b31m null-like \x01 \x7f",
    "long " + "<b>word</b> & 'quote' " * 480,
    "-rf $(touch hacked) `touch hacked` ; touch hacked # \\ \" ' !x",
    "lines\nand\ttabs",
]
HOSTILE_NAMES = ["<img src=x onerror=alert(1)>.mp4", "a'b\"c&d;$(touch x).mp4", "-o.mp4", "\u202egpj.mp4", "esc\x1b[31m.mp4", "line\nbreak.mp4",
                 "spa ce.mp4", "per%2e%2ecent.mp4"]


def run(*arguments, cwd, **more):
    return subprocess.run([str(argument) for argument in arguments], cwd=cwd, check=True, capture_output=True, text=True, **more)


def manifest_of(path):
    out = run(SORA, "info", path, "--json", cwd=path.parent).stdout
    return json.loads(out)["metadata"]


def with_manifest(source, target, manifest):
    """The same pictures under another manifest."""
    run("ffmpeg", "-v", "error", "-y", "-i", source, "-c", "copy", "-metadata", "comment=" + json.dumps(manifest), target, cwd=source.parent)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Clips made by the built-in model, a family derived from one of them, and a gallery of all."""
    root = tmp_path_factory.mktemp("explore")
    os.environ["XDG_DATA_HOME"] = str(root / "data")
    clips = root / "clips"
    (clips / "deep").mkdir(parents=True)
    quick = ["--steps", "4", "--frames", "9", "-q"]
    run(SORA, "generate", "a red ball bounces on the meadow", "--seed", "3", *quick, "-o", clips / "ball.mp4", cwd=root)
    run(SORA, "generate", "a blue star spins at night", "--seed", "4", *quick, "-o", clips / "deep/star.webm", cwd=root)

    ball = manifest_of(clips / "ball.mp4")
    digest = hashlib.sha256((clips / "ball.mp4").read_bytes()).hexdigest()
    remix = json.loads(json.dumps(ball))
    remix["operation"] = remix["request"]["operation"] = "remix"
    remix["request"]["arguments"]["prompt"] = "the ball at night"
    remix["sources"] = [{"name": "ball.mp4", "sha256": digest}]
    with_manifest(clips / "ball.mp4", clips / "remix.mp4", remix)
    extend = json.loads(json.dumps(remix))
    extend["operation"] = extend["request"]["operation"] = "extend"
    extend["request"]["arguments"]["prompt"] = "and on and on"
    extend["sources"] = [{"name": "remix.mp4", "sha256": hashlib.sha256((clips / "remix.mp4").read_bytes()).hexdigest()},
                         {"name": "gone.mp4", "sha256": "0" * 64}]
    with_manifest(clips / "ball.mp4", clips / "extend.mp4", extend)
    for number, prompt in enumerate(HOSTILE):
        hostile = json.loads(json.dumps(ball))
        hostile["request"]["arguments"]["prompt"] = prompt
        hostile["model"]["name"] = "<b>model</b>" if number == 0 else "nano"
        with_manifest(clips / "ball.mp4", clips / HOSTILE_NAMES[number], hostile)
    (clips / "broken.mp4").write_bytes(b"no clip at all")
    (root / "featured.txt").write_text("# the best\nball.mp4\nnowhere.mp4\n")
    made = run(SORA, "explore", clips, "-o", root / "site", "--featured", root / "featured.txt", cwd=root)
    return root, made


@pytest.fixture(scope="module")
def browser(place):
    with webdriver.Browser() as chromium:
        yield chromium


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def cards(browser):
    return browser.run("return [...document.querySelectorAll('.card')].map(card => card.querySelector('p').textContent)")


def index_url(place, fragment="tab=recent"):
    return (place[0] / "site/index.html").as_uri() + "#" + fragment


def open_index(browser, place, fragment="tab=recent"):
    browser.open("about:blank")
    browser.open(index_url(place, fragment))
    browser.wait("document.querySelector('#count').textContent")


def clip_id(place, name):
    index = json.loads((place[0] / "site/clips.json").read_text())
    return next(clip["id"] for clip in index["clips"] if clip["name"] == name)


def test_what_cannot_be_read_is_told_and_no_escape_reaches_the_terminal(place):
    assert "broken.mp4" in place[1].stderr
    assert "nowhere.mp4" in place[1].stderr
    assert f"{len(HOSTILE) + 4} clips" in place[1].stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\x9b]", place[1].stderr + place[1].stdout)


def test_the_gallery_opens_from_the_disk_with_all_clips(browser, place):
    open_index(browser, place)
    shown = cards(browser)
    assert len(shown) == len(HOSTILE) + 4
    assert "a red ball bounces on the meadow" in shown
    browser.wait("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert browser.log() == []


def test_a_featured_list_that_is_not_there_leaves_nothing(place, tmp_path):
    arguments = [SORA, "explore", place[0] / "clips", "-o", tmp_path / "site", "--featured", "none.txt"]
    made = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 4 and "none.txt" in made.stderr and not (tmp_path / "site").exists()


def explore(folder, *before):
    arguments = [*before, SORA, "explore", "clips", "-o", "site"]
    made = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    return made.returncode, made.stdout + made.stderr


@pytest.fixture
def one_clip(place, tmp_path):
    """A folder with one clip in clips/."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/ball.mp4").write_bytes((place[0] / "clips/ball.mp4").read_bytes())
    return tmp_path


def test_a_first_run_that_ends_early_leaves_a_folder_that_the_next_one_fills(one_clip):
    # No file may be larger than 1 kB, which the thumbnails are.
    status, said = explore(one_clip, "bash", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "-")
    assert status == 6, said
    assert (one_clip / "site/media").is_dir()
    status, said = explore(one_clip)
    assert status == 0 and "1 clip" in said, said


def test_a_clip_that_cannot_be_read_is_left_out(one_clip):
    (one_clip / "clips/shut.mp4").write_bytes(b"closed to all")
    (one_clip / "clips/shut.mp4").chmod(0)
    # Root reads every file unless it gives that up.
    status, said = explore(one_clip, *(["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []))
    assert status == 0, said
    assert "left out: " in said and "shut.mp4" in said and "1 clip" in said


def test_a_copy_that_was_cut_is_made_again(one_clip):
    assert explore(one_clip)[0] == 0
    media = next((one_clip / "site/media").glob("*.mp4"))
    whole = media.read_bytes()
    media.unlink()
    media.write_bytes(whole[:100])
    assert explore(one_clip)[0] == 0
    assert media.read_bytes() == whole


def test_two_runs_at_a_time_take_turns(one_clip):
    for number in range(3):
        run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=48x32:duration={number + 1}", one_clip / f"clips/{number}.mp4",
            cwd=one_clip)
    command = [SORA, "explore", one_clip / "clips", "-o", one_clip / "site"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for each in runs:
        said = each.communicate(timeout=240)[1]
        assert each.returncode == 0 and "4 clips" in said, said
    assert not list((one_clip / "site/media").glob(".*"))


def test_a_clip_that_is_there_twice_is_one_card_and_not_new_each_time(one_clip):
    clip = one_clip / "clips/ball.mp4"
    assert explore(one_clip)[0] == 0
    (one_clip / "clips/again.mp4").write_bytes(clip.read_bytes())
    for _ in range(2):
        status, said = explore(one_clip)
        assert status == 0 and "1 clips, 0 new, 0 gone" in said, said
    index = json.loads((one_clip / "site/clips.json").read_text())["clips"]
    assert sorted(each["name"] for each in index) == ["again.mp4", "ball.mp4"]
    assert len(list((one_clip / "site/clip").iterdir())) == 1
    clip.unlink()
    status, said = explore(one_clip)
    assert status == 0 and "1 clips, 0 new, 0 gone" in said, said


def test_a_manifest_that_is_none_of_ours_stops_no_gallery(one_clip):
    manifest = manifest_of(one_clip / "clips/ball.mp4")
    for number, files in enumerate([{"turbo": "yes"}, [1, 2], "files"]):
        manifest["request"]["files"] = files
        with_manifest(one_clip / "clips/ball.mp4", one_clip / f"clips/{number}.mp4", manifest)
    status, said = explore(one_clip)
    assert status == 0 and "4 clips" in said, said


def test_the_server_has_no_answer_for_pages_of_other_sites(one_clip):
    command = [SORA, "explore", one_clip / "clips", "-o", one_clip / "site", "--serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()

        def ask(path, **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            asked = urllib.request.Request(address + path, headers=named)
            try:
                with urllib.request.urlopen(asked) as response:
                    return response.status, response.headers, response.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read()

        for site in ("cross-site", "same-site"):
            for path in ("data/clips.js", "data/live.js", ""):
                assert ask(path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
            assert ask("", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 200
        status, headers, script = ask("data/clips.js", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors")
        assert status == 200 and headers["Cross-Origin-Resource-Policy"] == "same-origin"
        size = len(script)
        for asked, first, last in [("0-99999999", 0, size - 1), ("5-9", 5, 9), ("-7", size - 7, size - 1)]:
            status, headers, part = ask("data/clips.js", Range=f"bytes={asked}")
            assert (status, headers["Content-Range"], part) == (206, f"bytes {first}-{last}/{size}", script[first:last + 1])
        status, headers, _ = ask("data/clips.js", Range=f"bytes={size}-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    finally:
        server.terminate()
        server.wait(120)


def test_featured_comes_first(browser, place):
    open_index(browser, place, "")
    assert cards(browser) == ["a red ball bounces on the meadow"]


def test_search_and_filters(browser, place):
    open_index(browser, place)
    browser.type("#search", "STAR night")
    assert cards(browser) == ["a blue star spins at night"]
    open_index(browser, place)
    browser.run("const s = document.querySelector('#operation'); s.value = 'remix'; s.dispatchEvent(new Event('change'))")
    assert cards(browser) == ["the ball at night"]
    assert "operation=remix" in browser.url()
    browser.type("#search", "nothing of the kind")
    assert cards(browser) == []


def test_keyboard(browser, place):
    open_index(browser, place)
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "search"
    for key in "meadow":
        browser.press(key)
    browser.press("ArrowDown")
    before = browser.run("return document.activeElement.getAttribute('href')")
    assert before.startswith("clip/")
    browser.press("f")
    assert browser.run("return document.querySelector('.heart').getAttribute('aria-pressed')") == "true"
    browser.press("Enter")
    browser.wait("document.body.classList.contains('clip')")
    assert browser.run("return document.querySelector('#favourite').getAttribute('aria-pressed')") == "true"
    browser.press("Escape")
    browser.wait("document.body.classList.contains('index')")
    open_index(browser, place, "tab=favourites")
    assert len(cards(browser)) == 1
    open_index(browser, place)
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    browser.press("Enter")
    browser.wait("document.body.classList.contains('clip')")
    first = browser.url()
    browser.press("ArrowRight")
    browser.wait(f"location.href !== {json.dumps(first)} && document.body.classList.contains('clip')")


def test_light_and_dark(browser, place):
    open_index(browser, place)
    ground = "return getComputedStyle(document.body).backgroundColor"
    before = browser.run(ground)
    browser.press("t")
    after = browser.run(ground)
    assert before != after
    open_index(browser, place)
    assert browser.run(ground) == after
    browser.press("t")


@pytest.mark.parametrize("name", ["ball.mp4", "star.webm"])
def test_a_clip_plays(browser, place, name):
    browser.open((place[0] / f"site/clip/{clip_id(place, name)}.html").as_uri())
    browser.run("const clip = document.querySelector('#clip'); clip.muted = true; clip.play()")
    browser.wait("document.querySelector('#clip').currentTime > 0.1 && document.querySelector('#clip').videoWidth > 0")
    assert browser.log() == []


def test_the_preview_moves_under_the_pointer(browser, place):
    open_index(browser, place)
    browser.point_at(".card > a")
    browser.wait("document.querySelector('.card img').src.includes('preview')")


def test_the_copied_command_makes_the_same_frames(browser, place):
    browser.open((place[0] / f"site/clip/{clip_id(place, 'ball.mp4')}.html").as_uri())
    browser.click("button.copy")
    browser.wait("document.querySelector('button.copy').textContent === 'Copied'")
    open_index(browser, place)
    browser.click("#search")
    browser.press("Control", "v")
    command = browser.run("return document.querySelector('#search').value")
    assert command.startswith("sora generate 'a red ball bounces on the meadow' ")
    again = place[0] / "again"
    again.mkdir()
    environment = os.environ | {"PATH": f"{SORA.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", command + " -o again.mp4 -q"], cwd=again, env=environment, check=True)
    frames = [run("ffmpeg", "-v", "error", "-i", path, "-f", "framemd5", "-", cwd=again).stdout
              for path in (again / "again.mp4", place[0] / "clips/ball.mp4")]
    assert frames[0] == frames[1]


def test_gallery_names_stand_for_files(place):
    info = run(SORA, "info", "gallery:" + clip_id(place, "ball.mp4"), "--json", cwd=place[0]).stdout
    assert json.loads(info)["metadata"]["request"]["arguments"]["prompt"] == "a red ball bounces on the meadow"
    plan = run(SORA, "generate", "--recipe", "gallery:" + clip_id(place, "ball.mp4")[:8], "--dry-run", "--json", cwd=place[0]).stdout
    assert json.loads(plan)
    missing = subprocess.run([SORA, "info", "gallery:ffffffff"], capture_output=True, text=True)
    assert missing.returncode == 4 and "ffffffff" in missing.stderr


def test_the_family_goes_up_and_down(browser, place):
    browser.open((place[0] / f"site/clip/{clip_id(place, 'remix.mp4')}.html").as_uri())
    text = browser.run("return document.querySelector('.family').innerText")
    assert "remix of" in text and "a red ball bounces on the meadow" in text and "and on and on" in text
    browser.click(".family .sources a")
    browser.wait("document.querySelector('h1').textContent.includes('meadow')")
    browser.open((place[0] / f"site/clip/{clip_id(place, 'extend.mp4')}.html").as_uri())
    text = browser.run("return document.querySelector('.family').innerText")
    assert "extended from" in text and "remix of" in text and "1 not in this gallery" in text


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_text_stays_text(browser, place, number):
    browser.open((place[0] / f"site/clip/{clip_id(place, HOSTILE_NAMES[number])}.html").as_uri())
    nodes = browser.run("""
        const all = [...document.querySelectorAll('*')];
        return {hacked: window.hacked, scripts: [...document.scripts].map(script => script.getAttribute('src')),
                inline: [...document.scripts].filter(script => script.textContent).length,
                handlers: all.flatMap(node => node.getAttributeNames()).filter(name => name.startsWith('on')),
                links: [...document.links].filter(link => link.protocol !== 'file:').length,
                styles: all.filter(node => node.hasAttribute('style')).length,
                text: document.querySelector('h1').textContent,
                command: document.querySelector('.copyable code').textContent}""")
    assert nodes["hacked"] is None
    assert nodes["scripts"] == ["../gallery.js"] and nodes["inline"] == 0
    assert nodes["handlers"] == [] and nodes["links"] == 0 and nodes["styles"] == 0
    assert browser.log() == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", nodes["text"] + nodes["command"])
    if "\x1b" not in HOSTILE[number] and "\u202e" not in HOSTILE[number]:
        assert nodes["text"] == HOSTILE[number]
    said = subprocess.run(["bash", "-c", "printf '%s\\0' " + nodes["command"]], capture_output=True, cwd=place[0], check=True)
    assert HOSTILE[number].encode() in said.stdout.split(b"\0")
    assert not (place[0] / "hacked").exists()


def test_the_index_holds_no_hostile_node(browser, place):
    open_index(browser, place)
    assert browser.run("return window.hacked === undefined && document.querySelectorAll('.card script, .card svg, .card b').length === 0")
    assert browser.run("return [...document.querySelectorAll('*')].flatMap(n => n.getAttributeNames()).filter(n => n.startsWith('on')).length") == 0
    for page in (place[0] / "site").rglob("*.html"):
        text = page.read_text()
        assert "Content-Security-Policy" in text and "unsafe" not in text
        assert not re.search(r"<script(?! src=\"[\w./]+\" defer></script>)|<style|javascript:[^<]*\"", text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", (place[0] / "site/data/clips.js").read_text())


def test_a_second_run_reads_only_what_is_new(place):
    again = run(SORA, "explore", place[0] / "clips", "-o", place[0] / "site", "--featured", place[0] / "featured.txt", cwd=place[0])
    assert " 0 new, 0 gone" in again.stderr
    other = subprocess.run([SORA, "explore", place[0] / "clips", "-o", place[0] / "clips"], capture_output=True, text=True)
    assert other.returncode == 2 and "holds other files" in other.stderr


def test_the_server_shows_clips_as_they_land_and_to_this_machine_only(browser, place):
    site = place[0] / "served"
    landing = place[0] / "landing"
    landing.mkdir()
    (landing / "ball.mp4").write_bytes((place[0] / "clips/ball.mp4").read_bytes())
    server = subprocess.Popen([SORA, "explore", landing, "-o", site, "--serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        taken = subprocess.run([SORA, "explore", landing, "-o", place[0] / "other", "--serve", "--port", address.split(":")[2].strip("/")],
                               capture_output=True, text=True, timeout=120)
        assert taken.returncode == 6 and "is taken" in taken.stderr
        with urllib.request.urlopen(address) as response:
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "evil.example:80"}))
        for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "media/..%2f..%2fclips.json/../../../etc/passwd"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(address + path)
        browser.open(address + "#tab=recent")
        browser.wait("document.querySelectorAll('.card').length === 1")
        # The clip lands before the page has asked for news the first time.
        browser.run("const ask = fetch; window.fetch = (...what) => window.mayAsk ? ask(...what) : Promise.reject(Error('not yet'))")
        with_manifest(place[0] / "clips/ball.mp4", landing / "new.mp4", manifest_of(place[0] / "clips/remix.mp4"))
        wait_for(lambda: (site / "data/clips.js").read_text().count(".poster.webp") == 2)
        browser.run("window.mayAsk = true")
        browser.wait("document.querySelectorAll('.card').length === 2")
        clip = json.loads((site / "clips.json").read_text())["clips"][0]
        browser.open(f"{address}clip/{clip['id']}.html")
        browser.run("document.querySelector('#clip').play()")
        browser.wait("document.querySelector('#clip').currentTime > 0.1")
    finally:
        server.terminate()
        assert server.wait(120) in (0, -15, 143)


def test_ten_thousand_clips_are_quick(browser, place):
    """The page of 10,000 clips: those of the gallery again and again, each under its own ID and prompt. What counts is the
    processor time of the page's own thread, as other work on the machine must not matter."""
    site = place[0] / "site"
    text = (site / "data/clips.js").read_text()
    data = json.loads(text[text.index("{"):text.rindex(";")])
    rows = [row for row in data["clips"] if len(row[1]) < 200]
    many = [[f"{number:012x}", f"{rows[number % len(rows)][1]} number {number}", *rows[number % len(rows)][2:]] for number in range(10000)]
    (site / "data/clips.js").write_text("window.soraGallery = " + json.dumps({"featured": [], "clips": many}) + ";\n")
    browser.command("Performance.enable", {"timeDomain": "threadTicks"})

    def processor_seconds():
        metrics = {metric["name"]: metric["value"] for metric in browser.command("Performance.getMetrics", {})["metrics"]}
        return metrics["TaskDuration"]

    try:
        browser.open("about:blank")
        begin = processor_seconds()
        browser.open(index_url(place))
        browser.wait("document.querySelector('#count').textContent")
        opening = processor_seconds() - begin
        assert browser.run("return document.querySelector('#count').textContent") == "10000 clips"
        assert len(cards(browser)) <= 120  # the rest is made as one scrolls
        paint = browser.run("return performance.getEntriesByType('paint').find(e => e.name === 'first-contentful-paint').startTime")
        begin = processor_seconds()
        took = browser.run("""const begin = performance.now(), search = document.querySelector('#search');
            search.value = 'number 9999'; search.dispatchEvent(new Event('input')); return performance.now() - begin""")
        searching = processor_seconds() - begin
        assert cards(browser)[0].endswith("number 9999")
        print(f"first paint {paint:.0f} ms, search {took:.0f} ms; processor time {opening * 1000:.0f} and {searching * 1000:.0f} ms")
        assert opening < 4 and searching < 3
    finally:
        browser.command("Performance.disable", {})
        (site / "data/clips.js").write_text(text)
