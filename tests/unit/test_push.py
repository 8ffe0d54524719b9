"""`pivm push` against a hub on this machine."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pandas as pd
import pytest
import torch
from pivm import cli
from pivm.cli import push
from pivm.cohort.prior import Prior
from pivm.errors import PivmError
from pivm.generators.controls.gaussian import GaussianOrgans
from pivm.generators.kinds import MODEL_FILES, GeneratorSettings
from pivm.generators.model_folder import BelowMm, ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.hub.publication import public_facts, require_nobody
from pivm.report.generator_card import write_model_card
from pivm.report.words import PHANTOM
from safetensors.torch import load_file, save_file

from tests.unit.fake_hub import READ, WRITE, FakeHub

ORGANS = ("liver", "spleen", "colon")
PRIOR = Prior(
    *("body", ORGANS, ORGANS, (-1000.0, 60.0, 90.0, 0.0, -100.0), (9, 9, 9, 0, 9), 60.0, (5.0,) * 5, 0.0, 100.0),
    *((-1024, 300), (20.0, 20.0, 20.0)),
)
PATIENTS = ("Mueller_Anna", "s0007")
REPO = "clinic/pivm-phantom"
PRIVATE = ("mueller", "s0007", "scanner-07", "/home/", "secret")


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A folder as the workflow leaves it, with facts of the place where it was made."""
    monkeypatch.setattr(platform, "node", lambda: "scanner-07")
    folder = tmp_path / "seed_1"
    generator = GaussianOrgans(GeneratorSettings(name="gaussian", kind="gaussian"), PRIOR, torch.device("cpu"))
    moments = ("mean", "between", "within", "blur")
    generator.put({name: torch.ones(PRIOR.classes, dtype=torch.float64) for name in moments}, folder)
    made = {"code": "0" * 16, "versions": {"torch": "2.13.0+cpu"}, "host": "scanner-07"}
    trained_on = TrainedOn(PATIENTS, 1, 32, {"split.csv": "a" * 64}, BelowMm(5.0, 3.0, 6.0))
    save_generator(generator, folder, trained_on, made, source="/home/anna/secret/study")
    write_sampler(folder, {})
    split = {"a": "train", "b": "train", "c": "test"}
    table = pd.DataFrame(
        [("gaussian", "dice", "higher", 0.5, 0.4, 0.6)],
        columns=["method", "metric", "better", "mean", "ci_low", "ci_high"],
    )
    write_model_card(ModelFolder.open(folder), split, "phantom", PHANTOM, {"Table 2": table}, [], folder / "README.md")
    for name in ("losses.csv", "resume-1.pt", "subjects.txt"):
        (folder / name).write_text("Mueller_Anna /home/anna", "utf-8")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", WRITE)
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_TOKEN_PATH": str(tmp_path / "no_token"),
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": True,
            "AGENT_HARNESSES_PATH": str(tmp_path / "agents.json"),
        }.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        yield server
    huggingface_hub.close_session()


def send(model, *more: str, repo: str = REPO) -> int:
    return cli.main(["push", str(model), repo, "--yes", *more])


def fetch(folder, *more: str, repo: str = REPO) -> int:
    return cli.main(["pull", repo, str(folder), *more])


def error_of(capsys) -> str:
    """The one message; no traceback, no second line."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, lines
    return lines[0]


def require_refusal(model, hub, capsys, found: str) -> None:
    """The folder is refused by name, and before anything is asked of the hub."""
    assert send(model) == 1
    assert found in error_of(capsys)
    assert not hub.calls


def edit(path: Path, **more) -> None:
    facts = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**facts, **more}), "utf-8")


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_the_calls_are_those_that_are_written_down(model, hub, tmp_path):
    assert send(model, "--private", "--revision", "v1") == 0
    assert fetch(tmp_path / "pulled", "--revision", "v1") == 0
    calls = [re.sub(r"[0-9a-f]{40,}", "<hash>", call) for call in hub.calls if "agent-harnesses" not in call]
    assert calls[:9] == [
        "POST /api/repos/create",
        f"GET /api/models/{REPO}",
        f"POST /api/models/{REPO}/branch/v1",
        "POST /api/validate-yaml",
        f"POST /api/models/{REPO}/preupload/v1",
        f"POST /{REPO}.git/info/lfs/objects/batch",
        "PUT /lfs/<hash>",
        "POST /lfs-verify",
        f"POST /api/models/{REPO}/commit/v1",
    ]
    assert calls[9] == f"GET /api/models/{REPO}/revision/v1"
    resolved = {(method, name) for method in ("HEAD", "GET") for name in (*MODEL_FILES, "README.md")}
    resolved -= {("GET", "model.safetensors")}
    assert {(c.split()[0], c.split("/")[-1]) for c in calls[10:]} == resolved | {("GET", "<hash>")}


def test_nothing_of_patients_or_of_the_place_leaves(model, hub, capsys):
    assert send(model) == 0
    told = capsys.readouterr().err
    assert "left out of model.json: source, made.host, patients" in told
    assert "stays here: losses.csv, resume-1.pt, subjects.txt" in told
    for sent in (*hub.bodies, *hub.files(REPO).values()):
        assert not [word for word in PRIVATE if word.encode() in sent.lower()]
    published = json.loads(hub.files(REPO)["model.json"])
    assert published["patients"] == []
    assert published["made"] == {"code": "0" * 16, "versions": {"torch": "2.13.0+cpu"}}


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda m: edit(m / "model.json", data={"/home/anna/split.csv": "a" * 64}), "model.json: data: holds '/home"),
        (lambda m: edit(m / "model.json", data={"s0007.csv": "a" * 64}), "model.json: data: holds 's0007'"),
        (lambda m: append(m / "README.md", "\nAs for mueller_anna.\n"), "README.md: holds 'mueller_anna'"),
        (lambda m: append(m / "README.md", "\nSlices: /data/study/ct\n"), "README.md: holds '/data/study/ct'"),
        (lambda m: append(m / "README.md", "\nFrom C:\\study\n"), r"README.md: holds 'C:\\study'"),
        (lambda m: append(m / "README.md", "\nMade on scanner-07.\n"), "holds 'scanner-07'"),
    ],
    ids=["path in facts", "patient in facts", "patient in card", "path in card", "drive", "host"],
)
def test_what_cannot_be_left_out_is_refused(model, hub, capsys, spoil, found):
    spoil(model)
    require_refusal(model, hub, capsys, found)


def test_the_folder_of_released_weights_stays_behind_and_their_licence_is_asked_for(model, hub, capsys, monkeypatch):
    facts = {
        "format": 5,
        "settings": {"kind": "maisi", "weights": "/data/maisi"},
        "patients": [],
        "unmapped": ["sacrum"],
    }
    public, left_out = public_facts(facts, {})
    assert public["settings"] == {"kind": "maisi", "weights": "released"}
    assert (public["unmapped"], left_out) == (["sacrum"], ("settings.weights",))
    monkeypatch.setattr(GeneratorSettings, "weights", "/data/maisi", raising=False)
    assert send(model) == 1
    assert "name it with --license" in error_of(capsys)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def test_a_prior_that_is_written_otherwise_keeps_its_hash(model, hub, tmp_path):
    edit(model / "prior.json")
    assert "\n" not in (model / "prior.json").read_text("utf-8")
    assert (send(model), fetch(tmp_path / "pulled")) == (0, 0)


def test_short_names_and_addresses_do_not_refuse_every_card(tmp_path):
    text = b"Seed 1, 2 labels, [paper](https://a.org/abs/1.2); p < 0.05; HU/mm and/or `tables/table1.md`\n"
    require_nobody(tmp_path, {"README.md": text, "model.json": b'{"seed": 1}'}, ["p", "1", "12"])
    with pytest.raises(PivmError, match=r"model\.json: data: holds 'p1'"):
        require_nobody(tmp_path, {"model.json": b'{"data": "p1"}'}, ["p1"])


def test_metadata_of_the_weights_is_refused(model, hub, capsys):
    path = model / "model.safetensors"
    save_file(load_file(path), path, {"patient": "Mueller_Anna"})
    assert send(model) == 1
    assert "its header holds patient" in error_of(capsys)


def test_the_card_has_what_the_hub_and_people_want(model, hub, tmp_path, capsys):
    assert send(model) == 0
    card = hub.files(REPO)["README.md"].decode()
    data = huggingface_hub.ModelCard(card).data
    assert (data.get("license"), data.get("license_name")) == ("other", "as-the-training-data")
    assert data.get("library_name") == "pivm"
    assert {"pivm", "pivm-gaussian", "computed-tomography"} <= set(data.tags)
    for part in ("Data set `phantom`", "| Table 2 | Dice", "Not audited", "## Limits", f"pivm pull {REPO} model"):
        assert part in card
    assert fetch(tmp_path / "pulled") == 0
    assert send(tmp_path / "pulled", "--license", "cc-by-4.0", repo="clinic/second") == 0
    second = hub.files("clinic/second")["README.md"].decode()
    assert huggingface_hub.ModelCard(second).data.get("license") == "cc-by-4.0"
    assert (second.count("---\n"), second.count("pivm pull"), "pull clinic/second" in second) == (2, 1, True)


def drop_section(model: Path) -> None:
    text = (model / "README.md").read_text("utf-8")
    (model / "README.md").write_text(text.split("## Limits")[0], "utf-8")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        *((lambda m, n=name: (m / n).unlink(), name) for name in (*MODEL_FILES, "README.md")),
        (drop_section, "README.md: the model card lacks Limits"),
        (lambda m: shutil.rmtree(m), "no such folder"),
        (lambda m: edit(m / "model.json", settings={"kind": "gan"}), "no generator"),
        (lambda m: edit(m / "model.json", format=1), "format 1"),
        (lambda m: save_file({"x": torch.ones(2)}, m / "model.safetensors"), "weight"),
        (lambda m: (m / "model.safetensors").write_bytes(b"\x80\x04K\x01."), "truncated or no safetensors"),
    ],
)
def test_an_incomplete_or_foreign_folder_is_refused_before_any_call(model, hub, capsys, spoil, found):
    spoil(model)
    require_refusal(model, hub, capsys, found)


def test_nothing_is_sent_without_a_yes(model, hub, capsys, monkeypatch):
    assert cli.main(["push", str(model), REPO]) == 1
    assert "give --yes" in error_of(capsys)
    monkeypatch.setattr(
        push.sys, "stdin", type("Terminal", (), {"isatty": lambda _: True, "readline": lambda _: "\n"})()
    )
    assert cli.main(["push", str(model), REPO]) == 1
    assert "nothing was uploaded" in capsys.readouterr().err
    assert not hub.calls


def test_a_public_repository_takes_no_private_model(model, hub, capsys):
    assert send(model) == 0
    assert not hub.repositories[REPO].private
    before = dict(hub.files(REPO))
    assert send(model, "--private") == 1
    assert "is public" in error_of(capsys)
    assert hub.files(REPO) == before
    assert send(model, "--private", repo="clinic/closed") == 0
    assert hub.repositories["clinic/closed"].private


@pytest.mark.parametrize("command", ["push", "pull"])
@pytest.mark.parametrize(
    ("address", "said"),
    [("http://127.0.0.1:{}", "cannot be reached"), ("127.0.0.1:{}", "cannot be reached"), ("http://[", "cannot")],
    ids=["closed", "no scheme", "no address"],
)
def test_a_hub_out_of_reach_has_a_status_of_its_own(model, hub, tmp_path, capsys, monkeypatch, command, address, said):
    monkeypatch.setenv("HF_ENDPOINT", address.format(closed_port()))
    assert (send(model) if command == "push" else fetch(tmp_path / "pulled")) == 4
    message = error_of(capsys)
    assert said in message
    assert "HF_ENDPOINT" in message
    assert not (tmp_path / "pulled").exists()


def test_no_call_is_made_where_the_environment_forbids_them(model, hub, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert (send(model), fetch(tmp_path / "pulled")) == (4, 4)
    assert capsys.readouterr().err.count("HF_HUB_OFFLINE is set") == 2
    assert not hub.calls


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [
        (None, 1, "no token for"),
        ("hf_wrong", 1, "does not take the token (Invalid credentials"),
        (READ, 1, "it needs the right to write"),
    ],
)
def test_a_token_that_does_not_serve(model, hub, capsys, monkeypatch, token, status, said):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    assert send(model) == status
    assert said in error_of(capsys)
    assert not hub.repositories


def test_a_server_without_xet_is_named(model, hub, capsys, monkeypatch):
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    assert send(model) == 4
    assert "HF_HUB_DISABLE_XET=1" in error_of(capsys)


def test_a_page_of_another_server_is_no_hub(model, hub, capsys):
    hub.broken["validate"] = 200
    assert send(model) == 1
    assert "does not answer as a hub does" in error_of(capsys)


def test_the_extra_is_named_where_the_package_is_missing(model, hub, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert send(model) == 1
    assert "pip install 'pivm[hub]'" in error_of(capsys)


def test_the_server_of_the_environment_serves_the_shell(model, hub, tmp_path):
    """What huggingface_hub reads when it is imported comes from the environment, as for people."""
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    for command in (["push", str(model), REPO, "--yes"], ["pull", REPO, str(tmp_path / "pulled")]):
        done = subprocess.run(
            [sys.executable, "-m", "pivm.cli", *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "2 labels: liver, spleen" in done.stdout
    assert "not trained for, and so unlabelled tissue: colon" in done.stdout
