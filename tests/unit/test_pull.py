"""`pivm pull` against a hub on this machine, and what a model says of labels that it does not know."""
# ruff: noqa: F811
# fixtures of the other file are arguments here

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pivm import cli
from pivm.generators.kinds import MODEL_FILES
from pivm.hub import remote
from pivm.learning.model_files import file_hash

from tests.unit.test_push import REPO, error_of, fetch, hub, model, send  # noqa: F401


def labels(path: Path, ids=(1, 2)) -> Path:
    array = np.zeros((32, 32, 4), np.uint8)
    for k, label in enumerate(ids):
        array[8 + 8 * k : 14 + 8 * k, 8:22] = label
    nib.save(nib.Nifti1Image(array, np.diag([3.0, 3.0, 5.0, 1.0])), path)
    return path


def test_a_model_comes_back_as_it_was_sent_and_generates(model, hub, tmp_path, capsys):
    assert send(model, "--message", "first", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["repository"], said["url"]) == (REPO, f"{hub.url}/{REPO}/commit/{said['commit']}")
    assert set(hub.files(REPO)) == {*MODEL_FILES, "README.md", ".gitattributes"}
    assert hub.messages == ["first"]
    assert fetch(tmp_path / "pulled", "--json") == 0
    can = json.loads(capsys.readouterr().out)
    assert can["labels"] == ["liver", "spleen"]
    assert can["never_seen"] == ["colon"]
    assert (can["pixels"], can["commit"]) == (32, said["commit"])
    assert can["step_mm"] == {"median": 5.0, "low": 3.0, "high": 6.0}
    assert {p.name for p in (tmp_path / "pulled").iterdir()} == {*MODEL_FILES, "README.md"}
    for name in ("model.safetensors", "prior.json", "sampler.json"):
        assert file_hash(tmp_path / "pulled" / name) == file_hash(model / name)
    given = labels(tmp_path / "labels.nii.gz")
    for folder in (model, tmp_path / "pulled"):
        command = ["generate", "--model", str(folder), "--labels", str(given), "--ids", "model"]
        assert cli.main([*command, "--out", str(tmp_path / f"{folder.name}.nii.gz")]) == 0
    made = [np.asarray(nib.load(tmp_path / f"{name}.nii.gz").dataobj) for name in ("seed_1", "pulled")]
    np.testing.assert_array_equal(*made)


def test_what_is_not_there_is_named(model, hub, tmp_path, capsys, monkeypatch):
    assert fetch(tmp_path / "pulled", repo="clinic/nothing") == 1
    assert "clinic/nothing: no such repository" in error_of(capsys)
    assert fetch(tmp_path / "pulled", repo="a/b/c") == 1
    assert "expected owner/name" in error_of(capsys)
    assert send(model, "--private") == 0
    capsys.readouterr()
    assert fetch(tmp_path / "pulled", "--revision", "v9") == 1
    assert "no revision 'v9'" in error_of(capsys)
    monkeypatch.delenv("HF_TOKEN")
    assert fetch(tmp_path / "pulled") == 1
    assert "or it is private: set HF_TOKEN" in error_of(capsys)
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize(
    ("place", "status", "code", "said"),
    [
        ("/api/models/", 503, 4, "cannot serve for now"),
        ("/api/models/", 418, 1, "refused (418"),
        ("/lfs/", 403, 1, "this token may not do that"),
        ("/api/models/", 200, 1, "does not answer as a hub does"),
    ],
)
def test_other_refusals_of_the_hub(model, hub, tmp_path, capsys, place, status, code, said):
    assert send(model) == 0
    capsys.readouterr()
    hub.broken[place] = status
    assert fetch(tmp_path / "pulled") == code
    assert said in error_of(capsys)


def test_nothing_is_written_over(model, hub, tmp_path, capsys):
    assert send(model) == 0
    (tmp_path / "mine").mkdir()
    assert fetch(tmp_path / "mine") == 0, "an empty folder is free"
    capsys.readouterr()
    before = (tmp_path / "mine/model.json").read_bytes()
    calls = len(hub.calls)
    assert fetch(tmp_path / "mine") == 1
    assert "nothing is written over" in error_of(capsys)
    assert ((tmp_path / "mine/model.json").read_bytes(), len(hub.calls)) == (before, calls)


def foreign(hub, model, **files: bytes) -> None:
    """The model on the hub, with other files."""
    assert send(model) == 0
    hub.repositories[REPO].commit({name.replace("__", "."): content for name, content in files.items()})


def altered_facts(model: Path, **more) -> bytes:
    return json.dumps({**json.loads((model / "model.json").read_text("utf-8")), **more}).encode()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model__json", lambda m: b"[" * 9000, "RecursionError"),
        ("model__json", lambda m: b"[]", "found list"),
        ("model__json", lambda m: altered_facts(m, sha256={"prior.json": "0" * 64}), "prior.json: SHA-256"),
        ("model__json", lambda m: altered_facts(m, organs=["../../x", "spleen", "colon"]), "of two models"),
        ("prior__json", lambda m: b"{}", "SHA-256"),
        ("sampler__json", lambda m: b'{"steps": 9}', "sampler.json"),
        ("model__safetensors", lambda m: b"\x80\x04K\x01.", "model.safetensors: SHA-256"),
    ],
)
def test_what_is_no_model_of_ours_is_not_kept(model, hub, tmp_path, capsys, name, content, said):
    foreign(hub, model, **{name: content(model)})
    capsys.readouterr()
    assert fetch(tmp_path / "pulled") == 1
    message = error_of(capsys)
    assert said in message
    assert message.startswith(f"Error: {REPO}: ")
    assert [p.name for p in tmp_path.iterdir() if "pulled" in p.name] == []


def test_names_and_numbers_of_strangers_are_checked(model, hub, tmp_path, capsys):
    prior = json.loads((model / "prior.json").read_text("utf-8"))
    for change, said in (
        ({"names": ["../x", "spleen", "colon"], "organs": ["../x", "spleen", "colon"]}, "'../x' is no name"),
        ({"means": ["a"] * 5}, "means are not 5 numbers"),
        ({"voxels": [1]}, "voxels are not 5 numbers"),
        ({"outline_by_box": {"slopes": [1]}}, "no margins of outlines"),
    ):
        spoilt = {**prior, **change}
        facts = altered_facts(model, organs=spoilt["organs"])
        foreign(hub, model, model__json=facts, prior__json=json.dumps(spoilt).encode())
        capsys.readouterr()
        assert fetch(tmp_path / "pulled") == 1
        assert said in error_of(capsys)


def test_pickles_are_never_fetched(model, hub, tmp_path, capsys):
    foreign(hub, model, pytorch_model__bin=b"\x80\x04K\x01.", notes__txt=b"x")
    assert fetch(tmp_path / "pulled") == 0
    assert {p.name for p in (tmp_path / "pulled").iterdir()} == {*MODEL_FILES, "README.md"}
    one = hub.repositories["clinic/other"] = type(hub.repositories[REPO])()
    one.commit({"pytorch_model.bin": b"\x80\x04K\x01.", "config.json": b"{}"})
    capsys.readouterr()
    assert fetch(tmp_path / "other", repo="clinic/other") == 1
    message = error_of(capsys)
    assert "it lacks model.safetensors, model.json, prior.json, sampler.json" in message
    assert "'pytorch_model.bin' are not read" in message


def test_damage_on_the_way_is_seen(model, hub, tmp_path, capsys):
    assert send(model) == 0
    sent = hub.files(REPO)["model.safetensors"]
    hub.altered["model.safetensors"] = sent[:-1] + bytes([sent[-1] ^ 1])
    capsys.readouterr()
    assert fetch(tmp_path / "pulled") == 1
    assert "model.safetensors: SHA-256" in error_of(capsys)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_or_closed_disk(model, hub, tmp_path, capsys, monkeypatch, number):
    assert send(model) == 0
    capsys.readouterr()

    def fail(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr(remote, "hf_hub_download", fail)
    assert fetch(tmp_path / "pulled") == 1
    assert f"cannot be written: {os.strerror(number)}" in error_of(capsys)
    assert not (tmp_path / "pulled").exists()


def test_a_file_where_a_folder_should_be(model, hub, tmp_path, capsys):
    assert send(model) == 0
    (tmp_path / "file").write_text("x", "utf-8")
    capsys.readouterr()
    assert fetch(tmp_path / "file/pulled") == 1
    assert "cannot be written" in error_of(capsys)


def test_it_is_taken_up_after_an_interruption(model, hub, tmp_path, capsys):
    assert send(model) == 0
    hub.broken["prior.json"] = 404
    assert fetch(tmp_path / "pulled") != 0
    assert not (tmp_path / "pulled").exists()
    hub.broken.clear()
    calls = len(hub.calls)
    assert fetch(tmp_path / "pulled") == 0
    assert not [call for call in hub.calls[calls:] if "model.safetensors" in call], "it was there already"


def test_labels_that_a_model_was_not_trained_for_are_refused(model, tmp_path, capsys):
    given = labels(tmp_path / "colon.nii.gz", (3,))
    command = ["generate", "--model", str(model), "--labels", str(given), "--ids", "model"]
    assert cli.main([*command, "--any-region", "--out", str(tmp_path / "ct.nii.gz")]) == 1
    message = error_of(capsys)
    assert "the organs of the model (liver, spleen), which needs labels of some of them; found colon" in message
    given = labels(tmp_path / "both.nii.gz", (1, 3))
    assert cli.main([*command[:4], str(given), *command[5:], "--out", str(tmp_path / "ct.nii.gz")]) == 0
    assert "1 not known to the model, tissue without a label of its own: colon" in capsys.readouterr().out
