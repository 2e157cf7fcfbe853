"""Clips and presets as archives: what is packed, judged by Python's own zipfile; taken in again; and archives that mean harm."""

import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
QUICK = ["--steps", "3", "--frames", "5", "-q"]
STRANGE_BYTES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Person:
    """Somebody with folders of their own."""

    def __init__(self, root, name):
        self.home = root / name
        self.home.mkdir()
        self.environment = os.environ | {"XDG_DATA_HOME": str(self.home / "data"), "XDG_CONFIG_HOME": str(self.home / "config"),
                                         "HOME": str(self.home)}
        self.library = self.home / "data/sora/library"
        self.presets = self.home / "config/sora/presets"

    def run(self, *arguments, code=0, **more):
        done = subprocess.run([SORA, *map(str, arguments)], cwd=self.home, env=self.environment | more.pop("env", {}),
                              capture_output=True, text=True, **more)
        assert done.returncode == code, done.stderr
        return done


def framemd5(path):
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "framemd5", "-"], capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    """A clip with a preset, a remix of it, and a clip of a storyboard with a picture, each packed."""
    person = Person(tmp_path_factory.mktemp("share"), "maker")
    person.presets.mkdir(parents=True)
    (person.presets / "chalk.yaml").write_text("description: On a board\nprompt: drawn with chalk on a blackboard\n")
    person.run("generate", "a red ball bounces on the meadow", "--preset", "chalk", *QUICK, "-o", "ball.mp4")
    person.run("remix", "ball.mp4", "a blue ball bounces at night", "--steps", "3", "-q", "-o", "remix.gif")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x96", "-frames:v", "1", person.home / "card.png"], check=True)
    (person.home / "board.yaml").write_text(
        "duration: 0.5\nstyle: pencil drawing\ncards:\n  - at: 0\n    text: a red ball\n    image: card.png\n  - at: 0.3\n    text: a blue star\n")
    person.run("generate", "--storyboard", "board.yaml", "--steps", "3", "-q", "-o", "board.mp4")
    for name in ("ball.mp4", "remix.gif", "board.mp4"):
        person.run("explore", "export", name, "-o", name.split(".")[0] + ".sora")
    return person


def entries_of(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_an_archive_holds_the_clip_its_recipe_and_its_preset(maker):
    entries = entries_of(maker.home / "ball.sora")
    contents = json.loads(entries["sora.json"])
    assert set(entries) == {"sora.json", "clip.mp4", "recipe.json", "presets/chalk.yaml"}
    assert entries["clip.mp4"] == (maker.home / "ball.mp4").read_bytes()
    assert entries["presets/chalk.yaml"] == (maker.presets / "chalk.yaml").read_bytes()
    assert contents["id"] == sha256(entries["clip.mp4"])[:12] and contents["name"] == "ball.mp4"
    assert {file["name"]: (file["size"], file["sha256"]) for file in contents["files"]} == {
        name: (len(data), sha256(data)) for name, data in entries.items() if name != "sora.json"}
    tags = json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_format", "-of", "json", maker.home / "ball.mp4"],
                                     capture_output=True, check=True).stdout)["format"]["tags"]
    assert json.loads(entries["recipe.json"]) == json.loads(tags["comment"])
    assert json.loads(entries["recipe.json"])["preset"] == "chalk"


def test_an_archive_holds_thumbnails_of_sources_and_storyboards_with_their_pictures(maker):
    remix = entries_of(maker.home / "remix.sora")
    source = sha256((maker.home / "ball.mp4").read_bytes())
    assert remix[f"sources/{source}.webp"][8:12] == b"WEBP"
    board = entries_of(maker.home / "board.sora")
    cards = json.loads(board["storyboard/board.json"])["cards"]
    assert board["storyboard/" + cards[0]["image"]] == (maker.home / "card.png").read_bytes()
    assert [card["text"] for card in cards] == ["a red ball", "a blue star"]


def test_the_same_clip_gives_the_same_bytes(maker):
    maker.run("explore", "export", "remix.gif", "-o", "again.sora", env={"TZ": "Asia/Tokyo"})
    assert (maker.home / "again.sora").read_bytes() == (maker.home / "remix.sora").read_bytes()
    assert "exists" in maker.run("explore", "export", "remix.gif", "-o", "again.sora", code=2).stderr


def test_an_imported_clip_is_known_by_its_id_to_every_tool(maker, tmp_path):
    friend = Person(tmp_path, "friend")
    done = json.loads(friend.run("explore", "import", maker.home / "ball.sora", "--json").stdout)
    assert done["new"] and done["presets"] == ["chalk"] and done["path"] == str(friend.library / "index.html")
    name = "gallery:" + done["id"]
    info = json.loads(friend.run("info", name, "--json").stdout)
    assert info["metadata"] == json.loads(entries_of(maker.home / "ball.sora")["recipe.json"])
    friend.run("remix", name, "a green ball", *QUICK[:2], "-q", "-o", "green.mp4")
    made = json.loads(friend.run("info", "green.mp4", "--json").stdout)["metadata"]
    assert made["sources"][0]["sha256"].startswith(done["id"])
    friend.run("generate", "--recipe", name, "-q", "-o", "same.mp4")
    assert framemd5(friend.home / "same.mp4") == framemd5(maker.home / "ball.mp4")
    again = json.loads(friend.run("explore", "import", maker.home / "ball.sora", "--json").stdout)
    assert not again["new"] and again["clips"] == 1
    page = (friend.library / f"clip/{done['id']}.html").read_text()
    assert "chalk" in page


def test_a_clip_whose_container_keeps_no_manifest_brings_it_along(maker, tmp_path):
    friend = Person(tmp_path, "friend")
    done = json.loads(friend.run("explore", "import", maker.home / "remix.sora", "--library", "mine", "--json").stdout)
    info = json.loads(friend.run("info", "gallery:" + done["id"], "--json").stdout)
    assert info["metadata"]["operation"] == "remix"
    page = (friend.home / f"mine/clip/{done['id']}.html").read_text()
    picture = re.search(r'"\.\./(media/[0-9a-f]+\.source-[0-9a-f]+\.webp)"', page)
    assert picture and (friend.home / "mine" / picture[1]).is_file()


def test_a_clip_whose_container_rounds_its_sides_up_comes_in(maker, tmp_path):
    maker.run("generate", "a red ball", "--size", "157x95", *QUICK, "-o", "odd.mp4")
    info = json.loads(maker.run("info", "odd.mp4", "--json").stdout)
    assert (info["width"], info["height"]) == (158, 96)
    assert (info["metadata"]["video"]["width"], info["metadata"]["video"]["height"]) == (157, 95)
    maker.run("explore", "export", "odd.mp4", "-o", "odd.sora")
    friend = Person(tmp_path, "friend")
    assert json.loads(friend.run("explore", "import", maker.home / "odd.sora", "--json").stdout)["new"]


def test_a_storyboard_is_made_again_from_the_archive_alone(maker, tmp_path):
    friend = Person(tmp_path, "friend")
    done = json.loads(friend.run("explore", "import", maker.home / "board.sora", "--json").stdout)
    hidden = maker.home / "board.yaml.hidden"
    (maker.home / "board.yaml").rename(hidden)
    try:
        friend.run("generate", "--recipe", "gallery:" + done["id"], "-q", "-o", "same.mp4")
    finally:
        hidden.rename(maker.home / "board.yaml")
    assert framemd5(friend.home / "same.mp4") == framemd5(maker.home / "board.mp4")


def test_what_is_missing_is_told_and_left_out(maker, tmp_path):
    person = Person(tmp_path, "person")
    (person.home / "remix.gif").write_bytes((maker.home / "remix.gif").read_bytes())
    (person.home / "remix.gif.json").write_bytes((maker.home / "remix.gif.json").read_bytes())
    done = person.run("explore", "export", "remix.gif")
    assert "no thumbnail of ball.mp4" in done.stderr
    assert set(entries_of(person.home / done.stdout.strip())) == {"sora.json", "clip.gif", "recipe.json"}
    (person.home / "bare.mp4").write_bytes((maker.home / "remix.gif").read_bytes())
    assert "manifest" in person.run("explore", "export", "bare.mp4", code=3).stderr
    assert person.run("explore", "export", "gallery:abcdef", code=4).stderr
    assert person.run("explore", "import", "nowhere.sora", code=4).stderr


def test_presets_are_passed_on(maker, tmp_path):
    friend = Person(tmp_path, "friend")
    maker.run("presets", "export", "chalk")
    assert set(entries_of(maker.home / "chalk.sora")) == {"sora.json", "presets/chalk.yaml"}
    friend.run("presets", "import", maker.home / "chalk.sora")
    assert (friend.presets / "chalk.yaml").read_bytes() == (maker.presets / "chalk.yaml").read_bytes()
    again = friend.run("presets", "import", maker.home / "chalk.sora")
    assert "is there already, the same" in again.stderr and again.stdout == ""
    (friend.presets / "chalk.yaml").write_text("prompt: my own chalk\n")
    assert "another one of that name" in friend.run("presets", "import", maker.home / "chalk.sora").stderr
    assert (friend.presets / "chalk.yaml").read_text() == "prompt: my own chalk\n"
    friend.run("presets", "import", maker.home / "chalk.sora", "--force")
    assert (friend.presets / "chalk.yaml").read_bytes() == (maker.presets / "chalk.yaml").read_bytes()
    assert friend.run("presets", "export", "no-such", code=4).stderr
    assert "presets" in friend.run("presets", "import", maker.home / "ball.sora", code=3).stderr
    assert "explore" in friend.run("explore", "import", maker.home / "chalk.sora", code=3).stderr


# Archives that mean harm: each changes the entries of a good one. `relist` makes the list fit what was changed, so that the
# fault is looked for where it is.

def relist(entries, **facts):
    contents = json.loads(entries["sora.json"]) | facts
    contents["files"] = [{"name": name, "size": len(data), "sha256": sha256(data)} for name, data in entries.items() if name != "sora.json"]
    entries["sora.json"] = json.dumps(contents).encode()


def added(name, data=b"x"):
    def change(entries):
        entries[name] = data
        relist(entries)
    return change


def replaced(name, data, **facts):
    def change(entries):
        entries[name] = data(entries[name]) if callable(data) else data
        relist(entries, **facts)
    return change


def without(name, is_relisted):
    def change(entries):
        del entries[name]
        if is_relisted:
            relist(entries)
    return change


def edited(name, edit):
    def change(data):
        value = json.loads(data)
        edit(value)
        return json.dumps(value).encode()
    return replaced(name, change)


def listed(edit):
    def change(entries):
        contents = json.loads(entries["sora.json"])
        edit(contents)
        entries["sora.json"] = json.dumps(contents).encode()
    return change


def renamed_clip(entries):
    entries["clip.webm"] = entries.pop("clip.mp4")
    relist(entries)


HOSTILE = {
    "a name that climbs": added("../evil.txt"),
    "a name that climbs on the way": added("storyboard/../../../evil.png"),
    "an absolute name": added("/tmp/sora-evil.txt"),
    "a name with backslashes": added("..\\evil.txt"),
    "a name that steers the terminal": added("storyboard/\x1b]0;evil\x07.png"),
    "a hidden file": added("storyboard/.bashrc"),
    "a folder": added("presets/"),
    "a program": added("storyboard/run.sh", b"#!/bin/sh\n"),
    "a page": added("index.html", b"<script>alert(1)</script>"),
    "a file beyond the list": lambda entries: entries.update({"storyboard/extra.png": b"x"}),
    "a file of the list missing": without("presets/chalk.yaml", False),
    "no list": lambda entries: entries.pop("sora.json"),
    "a list that is no JSON": lambda entries: entries.update({"sora.json": b"{"}),
    "a list that nests deep": lambda entries: entries.update({"sora.json": b"[" * 100000}),
    "a list of the wrong kind": listed(lambda contents: contents.update(files="all")),
    "a list of numbers": listed(lambda contents: contents.update(files=[1, 2])),
    "a list that names a file twice": listed(lambda contents: contents["files"].append(contents["files"][0])),
    "an archive of a later version": listed(lambda contents: contents.update(sora_archive=2)),
    "an archive of presets": listed(lambda contents: contents.update(kind="presets")),
    "a clip that was changed": lambda entries: entries.update({"clip.mp4": entries["clip.mp4"][:-1] + b"x"}),
    "a clip that was changed, list and all": replaced("clip.mp4", lambda data: data + b"\0" * 8),
    "another ID": listed(lambda contents: contents.update(id="0" * 12)),
    "no ID": listed(lambda contents: contents.pop("id")),
    "a clip name that climbs": listed(lambda contents: contents.update(name="../../evil.mp4")),
    "a clip name of another kind": listed(lambda contents: contents.update(name="evil.sh")),
    "a clip name that is hidden": listed(lambda contents: contents.update(name=".evil.mp4")),
    "no clip": without("clip.mp4", True),
    "two clips": added("clip.mkv"),
    "a clip under another extension": renamed_clip,
    "a clip that is no video": replaced("clip.mp4", b"no video at all"),
    "a playlist for a clip": replaced("clip.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    "half a clip": replaced("clip.mp4", lambda data: data[: len(data) // 2]),
    "no recipe": without("recipe.json", True),
    "a recipe that is no JSON": replaced("recipe.json", b"recipe"),
    "a recipe of a later version": edited("recipe.json", lambda recipe: recipe.update(sora_manifest=99)),
    "a recipe with another prompt": edited("recipe.json", lambda recipe: recipe["request"]["arguments"].update(prompt="other")),
    "a recipe that is too long": replaced("recipe.json", lambda data: data + b" " * (5 << 20)),
    "a thumbnail of nobody": added("sources/" + "0" * 64 + ".webp"),
    "a storyboard without cards": added("storyboard/board.json", b"{}"),
    "a storyboard that shows another's file": added("storyboard/board.json", b'{"cards": [{"at": 0, "image": "/etc/passwd"}]}'),
    "a storyboard that climbs": added("storyboard/board.json", b'{"cards": [{"at": 0, "image": "../clip.mp4"}]}'),
    "a storyboard whose picture is missing": added("storyboard/board.json", b'{"cards": [{"at": 0, "image": "card-1.png"}]}'),
    "a picture without a storyboard": added("storyboard/card-1.png"),
    "a preset that is no YAML": replaced("presets/chalk.yaml", b"a: [b"),
    "a preset with other keys": replaced("presets/chalk.yaml", b"prompt: a\nrun: rm -rf\n"),
    "a preset that climbs": added("presets/../../chalk.yaml", b"prompt: a\n"),
    "too many files": lambda entries: entries.update({f"storyboard/{number}.png": b"" for number in range(300)}),
    "a bomb": lambda entries: entries.update({"storyboard/bomb.png": b"\0" * (64 << 20)}),
}


def write_archive(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def linked(path, entries):
    link = zipfile.ZipInfo("clip.mp4")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sora.json", entries["sora.json"])
        archive.writestr("recipe.json", entries["recipe.json"])
        archive.writestr(link, "/etc/passwd")


def doubled(path, entries):
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning):
        for name, data in entries.items():
            archive.writestr(name, data)
        archive.writestr("clip.mp4", entries["clip.mp4"])


def bytes_of(entries, path):
    write_archive(path, entries)
    return bytearray(path.read_bytes())


def encrypted(path, entries):
    data = bytes_of(entries, path)
    for sign, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        at = data.find(sign)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(sign, at + 4)
    path.write_bytes(data)


def with_flipped_byte(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    at = data.find(entries["recipe.json"][:40])
    data[at + 5] ^= 1
    path.write_bytes(data)


HOSTILE_FILES = {
    "a link": linked,
    "a file twice": doubled,
    "an encrypted archive": encrypted,
    "a damaged archive": with_flipped_byte,
    "half an archive": lambda path, entries: path.write_bytes(bytes_of(entries, path)[: len(entries["clip.mp4"]) // 2]),
    "no archive": lambda path, entries: path.write_bytes(b"no archive"),
    "an empty file": lambda path, entries: path.write_bytes(b""),
    "another archive": lambda path, entries: write_archive(path, {"hello.txt": b"hello"}),
}


@pytest.fixture(scope="module")
def victim(maker, tmp_path_factory):
    """Somebody who has a library already."""
    person = Person(tmp_path_factory.mktemp("victim"), "victim")
    person.run("explore", "import", maker.home / "board.sora")
    return person


def tree_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
            if "cache" not in path.parts and ".cache" not in path.parts}


@pytest.mark.parametrize("fault", [*HOSTILE, *HOSTILE_FILES])
def test_an_archive_that_means_harm_is_refused_whole(maker, victim, tmp_path, fault):
    entries = entries_of(maker.home / "ball.sora")
    path = tmp_path / "evil.sora"
    if fault in HOSTILE:
        HOSTILE[fault](entries)
        write_archive(path, entries)
    else:
        HOSTILE_FILES[fault](path, entries)
    before = tree_of(victim.home)
    done = victim.run("explore", "import", path, code=3)
    assert done.stdout == ""
    assert str(path) in done.stderr and len(done.stderr.splitlines()) == 1
    assert not STRANGE_BYTES.search(done.stderr)
    assert tree_of(victim.home) == before
    assert not (tmp_path / "evil.txt").exists() and not pathlib.Path("/tmp/sora-evil.txt").exists()


def test_a_refused_archive_makes_no_library(tmp_path):
    person = Person(tmp_path, "person")
    (tmp_path / "evil.sora").write_bytes(b"no archive")
    person.run("explore", "import", tmp_path / "evil.sora", code=3)
    assert not person.library.exists()


def test_a_folder_of_other_files_is_no_library(maker, tmp_path):
    person = Person(tmp_path, "person")
    (person.home / "photos").mkdir()
    (person.home / "photos/a.jpg").write_bytes(b"mine")
    assert "no library" in person.run("explore", "import", maker.home / "ball.sora", "--library", "photos", code=2).stderr
