"""MAISI: geometry of slabs, HU and labels; its three trainings; released checkpoints; slices cut from volumes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.config import generator_settings, validate
from pivm.errors import ConfigError, StateError
from pivm.generators.maisi import stages
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.networks import MaisiNetworks
from pivm.generators.maisi.released import put_released
from pivm.generators.maisi.settings import MaisiSettings, SlabSettings, check
from pivm.generators.maisi.slabs import (
    Slab,
    SlabData,
    bit_planes,
    blend,
    from_ras,
    group_sources,
    pad_depth,
    stack_of,
    to_hu,
    to_ras,
    to_unit,
)
from pivm.generators.maisi.vocabulary import BODY, IDS, released_ids, unmapped
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.labels import ORGANS_34
from pivm.learning.device import autocast
from pivm.learning.loop import Run
from pivm.learning.resume import Resume
from pivm.settings import plain
from pivm.synthesis.label_sources import Chosen
from pivm.synthesis.slices import synthesise_slices
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]
MADE = {"code": "0" * 16, "versions": {"torch": "2.13.0"}}
CPU = torch.device("cpu")
RANGE = (-1000, 1000)


def make_prior(kind: str = "body", names: tuple[str, ...] = ("liver", "spleen")) -> Prior:
    classes = len(names) + (2 if kind == "body" else 1)
    return Prior(
        kind=kind,
        names=names,
        organs=names,
        means=tuple(float(10 * k) for k in range(classes)),
        voxels=(100,) * classes,
        variation_sd=50.0,
        organ_sd=(20.0,) * classes,
        absolute_mean=0.0,
        absolute_sd=300.0,
        hu_range=(-1024, 1500),
    )


@pytest.fixture(scope="module")
def settings() -> MaisiSettings:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load((ROOT / "configs/smoke.yaml").read_text()))
    return replace(generator_settings(config, "maisi"), slab=SlabSettings(8, 4, (-1000, 1000)))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> SliceStore:
    """Two training patients with stacks of 5 and 3 target slices, each with one neighbour, rows out of order in z."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    rows = [("a", z, "target") for z in (6, 2, 4, 8, 10)] + [("a", 1, "neighbour")]
    rows += [("b", z, "target") for z in (1, 2, 3)]
    index = pd.DataFrame(rows, columns=["subject", "z", "role"])
    index["split"], index["previous"], index["pixel_mm"], index["step_mm"] = "train", -1, 5.0, 20.0
    index.to_csv(folder / "index.csv", index=False)
    shape = (len(index), 16, 16)
    labels = rng.integers(0, 3, shape).astype(np.uint8)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "body.npy", np.ones(shape, bool))
    np.save(folder / "hu.npy", (labels * 100 + rng.normal(0, 10, shape)).astype(np.int16))
    return SliceStore(folder)


@given(st.integers(0, 255), st.integers(0, 255))
def test_bit_planes_hold_the_label_id(a, b):
    ids = torch.tensor([[[[a, b]]]], dtype=torch.uint8)
    planes = bit_planes(ids)
    assert planes.shape == (1, 8, 1, 1, 2)
    assert set(planes.unique().tolist()) <= {0.0, 1.0}
    back = (planes[0, :, 0, 0].long() << torch.arange(8)[:, None]).sum(0)
    assert back.tolist() == [a, b]


def test_hu_are_clipped_and_come_back():
    hu = torch.arange(-1000, 1001, dtype=torch.int16)
    assert torch.equal(to_hu(to_unit(hu, RANGE), RANGE), hu)
    assert to_unit(torch.tensor([-3024, -1000, 0, 1000, 3000]), RANGE).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert to_hu(torch.tensor([-0.2, 1.3]), RANGE).tolist() == [-1000, 1000]


def test_axes_are_ras_and_come_back():
    slices = np.arange(2 * 3 * 3).reshape(2, 3, 3)
    volume = to_ras(slices)
    # slice 1, row 0 (anterior), column 0 (the patient's right): x falls to the right, y rises to the front
    assert volume[2, 2, 1] == slices[1, 0, 0]
    assert volume[0, 2, 1] == slices[1, 0, 2]
    np.testing.assert_array_equal(from_ras(volume), slices)


@pytest.mark.parametrize(
    ("slices", "depth", "starts"),
    [(1, 8, [0]), (8, 8, [0]), (9, 12, [0, 4]), (15, 16, [0, 4, 8]), (18, 20, [0, 4, 8, 12])],
)
def test_slabs_cover_a_volume(slices, depth, starts):
    slab = Slab(8, 4, 4)
    assert (slab.padded(slices), slab.starts(depth)) == (depth, starts)
    covered = {z for start in starts for z in range(start, start + 8)}
    assert covered == set(range(depth))


@given(st.integers(1, 40))
def test_blending_slabs_of_a_volume_gives_the_volume(slices):
    slab = Slab(8, 4, 4)
    depth = slab.padded(slices)
    volume = torch.randn(2, 3, 3, depth, generator=torch.Generator().manual_seed(slices), dtype=torch.float64)
    parts = torch.stack([volume[..., z : z + 8] for z in slab.starts(depth)])
    torch.testing.assert_close(blend(parts, slab.starts(depth), depth), volume)


def test_blending_moves_linearly_from_one_slab_to_the_next():
    parts = torch.stack([torch.zeros(1, 1, 1, 4), torch.full((1, 1, 1, 4), 3.0)])
    assert blend(parts, [0, 2], 6)[0, 0, 0].tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 3.0]


def test_padding_repeats_the_last_slice():
    padded = pad_depth(np.arange(3)[:, None, None], 5)
    assert padded[:, 0, 0].tolist() == [0, 1, 2, 2, 2]


def test_slabs_of_a_store_are_stacks_from_the_bottom_up(store):
    data = SlabData(store, make_prior(), store.rows("train"), Slab(4, 0, 4))
    rows = [r.tolist() for r in data.rows]
    assert rows == [[1, 2, 0, 3], [4, 4, 4, 4], [6, 7, 8, 8]]
    np.testing.assert_array_equal(from_ras(data.hu(torch.tensor([2]))[0, 0].numpy()), store.hu[rows[2]])
    assert data.spacing[0].tolist() == [5.0, 5.0, 20.0]


def test_sources_are_grouped_by_patient_and_round(store):
    sources = np.array([3, 7, 1, 3, 6, 3, 5])
    # row 3 comes three times: three volumes of patient a; row 5 is a neighbour: a stack of its own
    assert group_sources(store, sources) == [[0, 2], [1, 4], [3], [5], [6]]
    assert stack_of(store, 3).tolist() == [1, 2, 0, 3, 4]
    assert stack_of(store, 5).tolist() == [5]


class TestVocabulary:
    def test_every_organ_of_the_paper_has_an_id(self):
        assert unmapped(make_prior(names=ORGANS_34)) == ()
        assert len(set(IDS.values())) == len(IDS)
        assert BODY not in IDS.values()

    def test_ids_of_the_release(self):
        prior = make_prior(names=ORGANS_34)
        table = released_ids(prior)
        named = dict(zip(("air", *ORGANS_34, "body"), table[: prior.classes].tolist(), strict=True))
        want = {"air": 0, "liver": 1, "spleen": 3, "kidney_right": 5, "kidney_left": 14, "colon": 62, "body": 200}
        want |= {"vertebrae_L5": 33, "vertebrae_L1": 37, "vertebrae_T12": 38, "vertebrae_T10": 40, "sacrum": 97}
        want |= {"autochthon_left": 104, "iliopsoas_right": 107, "hip_left": 95, "lung_lower_lobe_right": 32}
        assert {name: named[name] for name in want} == want

    def test_an_organ_without_an_id_counts_as_body_and_is_named(self, caplog):
        prior = make_prior(names=("liver", "femur_left"))
        assert released_ids(prior)[:4].tolist() == [0, 1, BODY, BODY]
        assert "no label for femur_left" in caplog.text

    def test_a_prior_without_body_is_warned_of(self, caplog):
        assert released_ids(make_prior("paper"))[:4].tolist() == [0, 1, 3, 0]
        assert "prior: paper has no body" in caplog.text


def trained(settings: MaisiSettings, store: SliceStore, folder: Path) -> MaisiGenerator:
    """All three stages, each in networks of its own as the workflow does it."""
    folder.mkdir(parents=True, exist_ok=True)
    prior, seed = make_prior(), 3
    data = SlabData(store, prior, store.rows("train"), Slab(8, 4, 4))
    fits = {"autoencoder": stages.fit_autoencoder, "diffusion": stages.fit_diffusion}
    for name, fit in fits.items():
        done = [n for n in fits if (folder / n).exists()]
        (folder / name).mkdir()
        nets = stages.make_networks(settings, CPU, seed)
        for earlier in done:
            stages.put_stage(nets, folder / earlier)
        fit(stages.Stage(nets, settings, data, data, seed), Run(folder / name / "losses.csv"))
        stages.save_stage(nets, name, folder / name, {})
    nets = stages.make_networks(settings, CPU, seed)
    for name in fits:
        stages.put_stage(nets, folder / name)
    stages.fit_controlnet(stages.Stage(nets, settings, data, None, seed), Run(folder / "losses.csv"))
    generator = MaisiGenerator(settings, prior, CPU, nets)
    save_generator(generator, folder, TrainedOn(("a", "b"), seed, 16, {}), MADE)
    write_sampler(folder, plain(settings.sampler))
    return generator


@pytest.fixture(scope="module")
def model(settings, store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "maisi"
    trained(settings, store, folder)
    return folder


class Interrupted(Exception):
    pass


class TestTraining:
    def test_stages_leave_each_other_alone_and_say_how_they_came_about(self, model):
        generator = ModelFolder.open(model).load(CPU)
        for stage in ("autoencoder", "diffusion"):
            weights = stages.load_model(model / stage)[0]
            own = generator.nets.state_dict()
            assert all(torch.equal(own[k], v) for k, v in weights.items())
        assert ModelFolder.open(model).settings.weights is None
        assert generator.nets.spacing.tolist() == [[5.0, 5.0, 20.0]] * 3

    def test_the_same_seed_gives_the_same_weights(self, model, settings, store, tmp_path):
        trained(settings, store, tmp_path)
        for part in ("", "autoencoder", "diffusion"):
            again = (tmp_path / part / "model.safetensors").read_bytes()
            assert again == (model / part / "model.safetensors").read_bytes()

    def test_latents_are_scaled_to_unit_variance(self, model, settings, store):
        generator = ModelFolder.open(model).load(CPU)
        data = SlabData(store, generator.prior, store.rows("train"), Slab(8, 4, 4))
        latents = stages.encode(generator.nets, settings, data)
        assert float((latents * generator.nets.scale).std()) == pytest.approx(1, abs=1e-5)

    def test_latents_are_the_same_under_autocast_and_in_any_part(self, model, settings, store):
        generator = ModelFolder.open(model).load(CPU)
        data = SlabData(store, generator.prior, store.rows("train"), Slab(8, 4, 4))
        alone = stages.encode(generator.nets, settings, data)
        with autocast(CPU, "bf16"):
            assert torch.equal(stages.encode(generator.nets, settings, data), alone)
        data.rows = data.rows[1:]
        assert torch.equal(stages.encode(generator.nets, settings, data), alone[1:])

    def test_stages_learn_on_the_same_latents_in_low_precision(self, model, settings, store, tmp_path, monkeypatch):
        """The diffusion stage encodes before its training, the ControlNet inside, under autocast."""
        seen, encode = [], stages.encode
        monkeypatch.setattr(stages, "encode", lambda *args: seen.append(encode(*args)) or seen[-1])
        for fit in (stages.fit_diffusion, stages.fit_controlnet):
            generator = ModelFolder.open(model).load(CPU)
            data = SlabData(store, generator.prior, store.rows("train"), Slab(8, 4, 4))
            stage = stages.Stage(generator.nets, settings, data, None, 3)
            fit(stage, Run(tmp_path / "losses.csv", precision="bf16"))
        assert torch.equal(*seen)
        assert seen[0].dtype == torch.float32

    def test_only_the_controlnet_learns_in_its_stage(self, model, settings, store, tmp_path):
        generator = ModelFolder.open(model).load(CPU)
        before = {k: v.clone() for k, v in generator.nets.state_dict().items()}
        data = SlabData(store, generator.prior, store.rows("train"), Slab(8, 4, 4))
        stages.fit_controlnet(stages.Stage(generator.nets, settings, data, None, 3), Run(tmp_path / "losses.csv"))
        changed = {k.split(".")[0] for k, v in generator.nets.state_dict().items() if not torch.equal(v, before[k])}
        assert changed == {"controlnet"}

    def test_an_interrupted_stage_goes_on_to_the_same_weights(self, settings, store, tmp_path, monkeypatch):
        data = SlabData(store, make_prior(), store.rows("train"), Slab(8, 4, 4))
        settings = replace(settings, autoencoder=replace(settings.autoencoder, steps=4))

        def fit(resume: Resume) -> MaisiNetworks:
            nets = stages.make_networks(settings, CPU, 3)
            stage = stages.Stage(nets, settings, data, None, 3)
            stages.fit_autoencoder(stage, Run(tmp_path / "losses.csv", resume))
            return nets

        whole = fit(Resume(None))
        state, reads, original = tmp_path / "resume-1.pt", [], SlabData.hu

        def dies(self, which):
            reads.append(which)
            if len(reads) == 3:
                raise Interrupted
            return original(self, which)

        monkeypatch.setattr(SlabData, "hu", dies)
        with pytest.raises(Interrupted):
            fit(Resume(state, every=0))
        monkeypatch.setattr(SlabData, "hu", original)
        assert state.exists()
        resumed = fit(Resume(state))
        assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in whole.state_dict().items())

    def test_a_stage_of_other_sizes_is_refused(self, model, settings):
        other = replace(settings, autoencoder=replace(settings.autoencoder, channels=(4, 8, 8)))
        nets = stages.make_networks(other, CPU, 3)
        with pytest.raises(StateError, match=r"weight 'autoencoder.*' has shape .*, the network wants"):
            stages.put_stage(nets, model / "autoencoder")

    def test_a_store_without_stacks_is_refused(self, store):
        with pytest.raises(StateError, match="no stack of slices"):
            SlabData(store, make_prior(), np.arange(0), Slab(8, 4, 4))


class TestGenerating:
    def test_volumes_have_the_depth_of_their_label_maps(self, model):
        generator = ModelFolder.open(model).load(CPU)
        rng = np.random.default_rng(1)
        maps = [rng.integers(0, 4, (depth, 16, 16)).astype(np.uint8) for depth in (1, 5, 13)]
        volumes = list(generator.generate_volumes(maps, [1, 2, 3]))
        assert [v.shape for v in volumes] == [m.shape for m in maps]
        assert all(v.dtype == np.int16 and v.min() >= -1000 and v.max() <= 1000 for v in volumes)
        for volume, ids in zip(volumes, maps, strict=True):
            assert (volume[ids == 0] == -1000).all()

    def test_a_volume_depends_on_its_seed_and_not_on_its_company(self, model):
        generator = ModelFolder.open(model).load(CPU)
        maps = [np.full((5, 16, 16), k, np.uint8) for k in (1, 2, 3)]
        together = list(generator.generate_volumes(maps, [1, 2, 3]))
        alone = next(generator.generate_volumes(maps[1:2], [2]))
        other = next(generator.generate_volumes(maps[1:2], [9]))
        assert np.abs(together[1].astype(int) - alone).max() <= 1
        assert np.abs(together[1].astype(int) - other).max() > 1

    def test_spacing_is_kept_to_the_range_of_the_training(self, model):
        generator = ModelFolder.open(model).load(CPU)
        maps = [np.ones((4, 16, 16), np.uint8)]
        typical = next(generator.generate_volumes(maps, [1]))
        far = next(generator.generate_volumes(maps, [1], [(0.1, 0.1, 90.0)]))
        np.testing.assert_array_equal(typical, far)

    def test_slices_are_cut_from_volumes_with_their_seeds(self, model, store, tmp_path):
        generator = ModelFolder.open(model).load(CPU)
        sources = np.array([3, 7, 1, 3])
        chosen = Chosen("train", store, sources)
        synthesise_slices(generator, [chosen], 32, 5, {"model": "hash", "code": "c"}, tmp_path)
        hu, index = np.load(tmp_path / "hu.npy"), pd.read_csv(tmp_path / "index.csv")
        np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), store.labels[sources])
        assert index["source_row"].tolist() == sources.tolist()
        assert (index[["model", "code"]] == ["hash", "c"]).all(axis=None)
        # one volume for rows 3 and 1 of patient a, another for the second 3
        assert index["seed"][0] == index["seed"][2]
        assert len(set(index["seed"])) == 3
        stack = stack_of(store, 3)
        whole = next(
            generator.generate_volumes(
                [generator.prior.label_map(store.labels[stack], store.body[stack])], [int(index["seed"][0])]
            )
        )
        assert np.abs(hu[0].astype(int) - whole[3]).max() <= 1
        assert np.abs(hu[2].astype(int) - whole[0]).max() <= 1

    def test_a_truncated_model_is_refused(self, model, tmp_path):
        for name in ("model.json", "prior.json", "sampler.json"):
            (tmp_path / name).write_bytes((model / name).read_bytes())
        (tmp_path / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-100])
        with pytest.raises(StateError, match="not a complete model"):
            ModelFolder.open(tmp_path).load(CPU)


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


class TestReleased:
    @pytest.fixture
    def released(self, settings, tmp_path) -> Path:
        """Checkpoints in the form of the release, at tiny size."""
        nets = stages.make_networks(settings, CPU, 8)
        torch.save(nets.autoencoder.state_dict(), tmp_path / "autoencoder_v1.pt")
        diffusion = {"epoch": 3, "scale_factor": torch.tensor(0.7), "unet_state_dict": nets.diffusion.state_dict()}
        torch.save(diffusion, tmp_path / "diff_unet_3d_rflow-ct.pt")
        torch.save({"controlnet_state_dict": nets.controlnet.state_dict()}, tmp_path / "controlnet_3d_rflow-ct.pt")
        return tmp_path

    def fill(self, settings: MaisiSettings, folder: Path) -> MaisiGenerator:
        generator = MaisiGenerator(replace(settings, weights=str(folder)), make_prior(), CPU)
        put_released(generator.nets, checkpoint_files(folder), torch.tensor([5.0, 5.0, 20.0]))
        return generator

    def test_weights_arrive_in_their_networks(self, settings, released, tmp_path):
        generator = self.fill(settings, released)
        wanted = stages.make_networks(settings, CPU, 8).state_dict()
        own = generator.nets.state_dict()
        assert all(torch.equal(own[k], v) for k, v in wanted.items() if k not in ("scale", "spacing"))
        assert float(generator.nets.scale) == pytest.approx(0.7)
        assert generator.nets.spacing.tolist() == [[3.0, 3.0, 5.0], [0.5, 0.5, 0.5], [3.0, 3.0, 5.0]]
        save_generator(generator, tmp_path / "model", TrainedOn((), 1, 16, {}), MADE)
        write_sampler(tmp_path / "model", plain(settings.sampler))
        assert ModelFolder.open(tmp_path / "model").settings.weights == str(released)
        again = ModelFolder.open(tmp_path / "model").load(CPU)
        assert again.ids[:4].tolist() == [0, 1, 3, BODY]
        volume = next(again.generate_volumes([np.ones((4, 16, 16), np.uint8)], [1]))
        assert volume.shape == (4, 16, 16)

    def test_the_first_mismatch_is_named(self, settings, released):
        weights = torch.load(released / "autoencoder_v1.pt", weights_only=True)
        weights["decoder.blocks.0.conv.conv.bias"] = torch.zeros(5)
        torch.save(weights, released / "autoencoder_v1.pt")
        message = (
            r"autoencoder_v1.pt: weight 'decoder.blocks.0.conv.conv.bias' has shape \(5,\), the network wants \(8,\); "
            "lay configs/maisi_released.yaml over"
        )
        with pytest.raises(StateError, match=message):
            self.fill(settings, released)

    def test_a_pickle_with_code_is_refused_and_not_run(self, settings, released, capsys):
        (released / "controlnet_3d_rflow-ct.pt").write_bytes(pickle.dumps({"controlnet_state_dict": Evil()}))
        with pytest.raises(StateError, match=r"controlnet_3d_rflow-ct\.pt: refused, .* reading it could run code"):
            self.fill(settings, released)
        torch.save({"controlnet_state_dict": Evil()}, released / "controlnet_3d_rflow-ct.pt")
        with pytest.raises(StateError, match=r"controlnet_3d_rflow-ct\.pt: refused, .* reading it could run code"):
            self.fill(settings, released)
        assert "code ran" not in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["autoencoder_v1.pt", "diff_unet_3d_rflow-ct.pt"])
    def test_a_truncated_checkpoint_is_refused(self, settings, released, name):
        (released / name).write_bytes((released / name).read_bytes()[:-3000])
        with pytest.raises(StateError, match=f"{name}: cannot be read, it is truncated"):
            self.fill(settings, released)

    @pytest.mark.parametrize("content", [b"", b"hello\n" * 9, b"(", b"\x80\x02}q\x00"])
    def test_a_foreign_checkpoint_is_refused(self, settings, released, content):
        (released / "autoencoder_v1.pt").write_bytes(content)
        with pytest.raises(StateError, match=r"autoencoder_v1\.pt: (cannot be read|refused)"):
            self.fill(settings, released)

    def test_a_foreign_safetensors_is_refused(self, settings, released):
        (released / "autoencoder_v1.pt").unlink()
        (released / "autoencoder_v1.safetensors").write_bytes(b"not safetensors")
        with pytest.raises(StateError, match=r"autoencoder_v1\.safetensors: cannot be read"):
            self.fill(settings, released)

    def test_a_diffusion_checkpoint_needs_the_latent_scale(self, settings, released):
        path = released / "diff_unet_3d_rflow-ct.pt"
        content = torch.load(path, weights_only=True)
        del content["scale_factor"]
        torch.save(content, path)
        with pytest.raises(StateError, match="no single 'scale_factor'"):
            self.fill(settings, released)

    def test_a_missing_or_doubled_checkpoint_is_named(self, released):
        (released / "controlnet_other.pt").touch()
        with pytest.raises(
            ConfigError, match=r"found controlnet_3d_rflow-ct.pt, controlnet_other.pt for the controlnet"
        ):
            checkpoint_files(released)
        for path in released.glob("controlnet*"):
            path.unlink()
        with pytest.raises(ConfigError, match=r"found no file for the controlnet, expected one controlnet\*.pt"):
            checkpoint_files(released)


WRONG = [
    ("maisi.autoencoder.patch", 33, "maisi.autoencoder.patch: found 33, expected a multiple of 2"),
    ("maisi.slab.depth", 12, "maisi.slab.depth: found 12, expected a multiple of"),
    ("maisi.slab.overlap", 16, "maisi.slab.overlap: found 16"),
    ("maisi.slab.hu_range", [1000, -1000], "maisi.slab.hu_range: found [1000, -1000]"),
    ("maisi.diffusion.attention", [True], "maisi.diffusion.attention: found"),
    ("maisi.diffusion.head_channels", 7, "maisi.diffusion.head_channels: found 7"),
    ("maisi.diffusion.norm_groups", 7, "maisi.diffusion.channels: found"),
    ("maisi.controlnet.label_channels", [8], "maisi.controlnet.label_channels"),
    ("generators.maisi.target", "absolute", "generators.maisi.target: unknown key"),
    ("generators.pivm.weights", "x", "generators.pivm.weights: unknown key"),
    ("generators.maisi.overrides", {"sampler": {"step": 3}}, "step: unknown key (did you mean 'steps'?)"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG, ids=[f"{k}={v}"[:50] for k, v, _ in WRONG])
def test_a_wrong_setting_is_explained(key, value, message):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    *path, last = key.split(".")
    place = config
    for part in path:
        place = place[part]
    place[last] = value
    with pytest.raises(ConfigError) as caught:
        validate(config)
    assert message in str(caught.value)


def test_an_image_size_that_the_networks_cannot_halve_is_refused(settings):
    with pytest.raises(ConfigError, match=r"image\.size: found 18, expected a multiple of 4"):
        check(settings, 18)
