"""What --sign writes, read by c2pa's own Python reader: that it holds, what it says, and that a changed file is noticed."""

import json
import os
import pathlib
import site
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
MODEL = ROOT / "tests/data/pipelines/i2v"
QUICK = ["-m", MODEL, "--steps", "1", "--dtype", "f32", "--seed", "1", "--quiet", "--sign", "--identity", "studio"]
MIME = {"mp4": "video/mp4", "mov": "video/quicktime", "gif": "image/gif", "webp": "image/webp", "apng": "image/png", "png": "image/png"}
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PAYLOADS = {"mp4": b"mdat", "mov": b"mdat", "gif": b"NETSCAPE", "webp": b"ANMF", "apng": b"fdAT", "png": b"IDAT"}  # a little before picture data

_python = subprocess.run([ROOT / "scripts/python-env", "c2pa"], check=True, capture_output=True, text=True).stdout.strip()
_code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
site.addsitedir(subprocess.run([_python, "-c", _code], check=True, capture_output=True, text=True).stdout.strip())
import c2pa  # noqa: E402  from the environment just named


@pytest.fixture(scope="module")
def sora(tmp_path_factory):
    """Runs the program in a folder of its own, with an identity of its own; returns the folder."""
    folder = tmp_path_factory.mktemp("signed")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "OMP_NUM_THREADS": "1"}
    environment.pop("SORA_PLAN", None)
    subprocess.run([ROOT / "scripts/get-c2pa"], check=True, stdout=subprocess.DEVNULL)

    def run(*arguments):
        subprocess.run([SORA, *map(str, arguments)], check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        return folder

    run("keys", "new", "studio", "--owner", "Studio Ltd")
    return run


def read(path):
    """The reader's whole account of a file, and its active manifest."""
    with open(path, "rb") as file, c2pa.Reader(MIME[path.suffix[1:]], file) as reader:
        account = json.loads(reader.json())
    return account, account["manifests"][account["active_manifest"]]


def failures(account):
    return [failure["code"] for failure in account["validation_results"]["activeManifest"]["failure"]]


def source_types(manifest):
    (actions,) = [a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions")]
    return [action["digitalSourceType"] for action in actions if "digitalSourceType" in action]


@pytest.mark.parametrize("kind", MIME)
def test_a_generated_clip_is_valid_and_says_that_a_model_made_it(sora, kind):
    name = f"clip.{kind}"
    folder = sora("generate", "a red ball", "--size", "48x32", "--frames", 1 if kind == "png" else 5, "-o", name,
                  *QUICK, *([] if kind == "png" else ["--fps", "4"]))  # fmt: skip
    account, manifest = read(folder / name)
    assert account["validation_state"] == "Valid"
    assert failures(account) == ["signingCredential.untrusted"]  # a self-made identity has only its own word
    assert manifest["signature_info"]["common_name"] == "Studio Ltd"
    assert source_types(manifest) == [SOURCE_TYPE + "trainedAlgorithmicMedia"]
    assert not manifest.get("ingredients")

    changed = bytearray((folder / name).read_bytes())
    changed[changed.rindex(PAYLOADS[kind]) + 60] ^= 1
    (folder / f"changed.{kind}").write_bytes(changed)
    account, _ = read(folder / f"changed.{kind}")
    assert account["validation_state"] == "Invalid"


def test_a_remix_names_its_source_with_the_source_s_own_credentials(sora):
    sora("generate", "a red ball", "--size", "48x32", "--frames", 17, "--fps", 16, "-o", "first.mp4", *QUICK)
    folder = sora("remix", "first.mp4", "a blue ball", "-o", "second.mp4", *QUICK)
    account, manifest = read(folder / "second.mp4")
    assert account["validation_state"] == "Valid"
    assert source_types(manifest) == [SOURCE_TYPE + "compositeWithTrainedAlgorithmicMedia"]
    (ingredient,) = manifest["ingredients"]
    assert ingredient["title"] == "first.mp4"
    assert ingredient["relationship"] == "inputTo"
    assert ingredient["active_manifest"] == read(folder / "first.mp4")[0]["active_manifest"]


def test_the_program_s_own_manifest_is_inside_byte_for_byte(sora):
    folder = sora("generate", "a red ball", "--size", "48x32", "--frames", 5, "--fps", "4", "-o", "own.gif", *QUICK)
    _, manifest = read(folder / "own.gif")
    (own,) = [a["data"]["json"] for a in manifest["assertions"] if a["label"].startswith("sora.manifest")]
    assert own == (folder / "own.gif.json").read_text().rstrip("\n")
