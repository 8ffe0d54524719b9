"""Feature extractors: sensible features, safe reading of weights, and messages for people."""

from __future__ import annotations

import io
import os
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
from pivm.errors import StateError
from pivm.evaluation.features import Extractor, _packaged_weights
from pivm.evaluation.image_metrics import shown_metrics
from pivm.evaluation.settings import ExtractorSettings
from pivm.learning.torchvision_import import allow_torchvision_import
from safetensors.torch import save_file
from skimage import color, data

CPU = torch.device("cpu")
CATS = {281, 282, 283, 285}  # tabby, tiger, Persian and Egyptian cat


@pytest.fixture(scope="module")
def lite() -> Extractor:
    return Extractor("efficientnet_lite0", None, CPU)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """An Inception with random weights, as torch-fidelity would store it."""
    allow_torchvision_import()
    from torch_fidelity import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            pass

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    net = Blank("inception-v3-compat", ["2048"], feature_extractor_weights_path=nothing)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(net.state_dict(), path)
    return path, net


def test_the_packaged_network_knows_a_cat(lite):
    grey = (255 * color.rgb2gray(data.chelsea()))[None, :300, 75:375]
    head = torch.load(_packaged_weights(), weights_only=True)
    logits = lite(grey, (0, 255)) @ head["_fc.weight"].double().numpy().T + head["_fc.bias"].double().numpy()
    assert int(logits.argmax()) in CATS


def test_features_are_float64_repeatable_and_see_the_window_alone(lite):
    hu = np.random.default_rng(0).integers(-1024, 1500, (18, 32, 32)).astype(np.int16)
    features = lite(hu, (-200, 300))
    assert features.shape == (18, 1280)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, lite(hu, (-200, 300)))
    np.testing.assert_array_equal(features, lite(hu.clip(-200, 300), (-200, 300)))
    assert np.abs(features - lite(hu, (-1000, 1000))).max() > 0.1


def test_a_slice_has_the_same_features_in_any_company(lite):
    hu = np.random.default_rng(0).integers(-200, 300, (18, 32, 32)).astype(np.int16)
    np.testing.assert_allclose(lite(hu, (-200, 300))[17], lite(hu[17:], (-200, 300))[0], atol=1e-4)


def test_inception_features_are_those_of_torch_fidelity(inception_file):
    path, net = inception_file
    hu = np.array([[[-200, 300], [50, 1000]]], np.int16)
    grey = torch.tensor([[0, 255], [128, 255]], dtype=torch.uint8)  # 127.5 rounds to even
    expected = net(grey.expand(1, 3, 2, 2))[0].double().numpy()
    features = Extractor("inception", path, CPU)(hu, (-200, 300))
    assert features.shape == (1, 2048)
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_inception_weights_are_downloaded_checked_and_unpickled_safely(inception_file, monkeypatch):
    asked = {}

    def download(url, **options):
        asked.update(options, url=url)
        return torch.load(inception_file[0], weights_only=True)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    Extractor("inception", None, CPU)
    assert asked["url"].endswith(".pth")
    assert (asked["check_hash"], asked["weights_only"]) == (True, True)


def test_without_network_the_message_says_what_to_do(monkeypatch):
    def offline(url, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(
        StateError, match=r"cannot be downloaded .*no route.*set tables\.extractor\.weights to the file"
    ):
        Extractor("inception", None, CPU)


def test_missing_weights(tmp_path):
    with pytest.raises(StateError, match=r"none\.pth: no such file"):
        Extractor("inception", tmp_path / "none.pth", CPU)


def test_truncated_weights(tmp_path, inception_file):
    path = tmp_path / "half.pth"
    path.write_bytes(inception_file[0].read_bytes()[:100_000])
    with pytest.raises(StateError, match=r"half\.pth: cannot be read, it is truncated or of another format"):
        Extractor("inception", path, CPU)


@pytest.mark.parametrize("name", ["inception", "efficientnet_lite0"])
def test_weights_that_hold_code_are_refused_unrun(tmp_path, name):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps({"weight": Trap()}, protocol=2))
    with pytest.raises(StateError, match=r"trap\.pth: refused, .*could run code.*safetensors"):
        Extractor(name, path, CPU)
    torch.save({"weight": Trap()}, path)
    with pytest.raises(StateError, match="refused"):
        Extractor(name, path, CPU)
    assert not (tmp_path / "run").exists()


def test_text_and_a_foreign_list_are_no_weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("not found")
    with pytest.raises(StateError, match=r"weights\.safetensors: cannot be read"):
        Extractor("inception", path, CPU)
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(StateError, match=r"list\.pth: found list, expected a state dict"):
        Extractor("inception", tmp_path / "list.pth", CPU)


def test_weights_of_another_network_are_named(tmp_path, inception_file):
    other = tmp_path / "other.safetensors"
    weights = torch.load(_packaged_weights(), weights_only=True)
    weights["_conv_head.weight"] = torch.zeros(8, 320, 1, 1)
    save_file({k: v.contiguous() for k, v in weights.items()}, other)
    with pytest.raises(StateError, match=r"'conv_head\.weight' has shape \(8, 320, 1, 1\), .*\(1280, 320, 1, 1\)"):
        Extractor("efficientnet_lite0", other, CPU)
    with pytest.raises(StateError, match=r"other\.safetensors: expected the weights of Inception v3"):
        Extractor("inception", other, CPU)
    with pytest.raises(StateError, match="expected the weights of EfficientNet-Lite0"):
        Extractor("efficientnet_lite0", inception_file[0], CPU)


@pytest.mark.parametrize(
    ("settings", "name", "metric"),
    [
        ({"name": "auto", "weights": None}, "efficientnet_lite0", "frechet_distance"),
        ({"name": "auto", "weights": "w.pth"}, "inception", "fid"),
        ({"name": "inception", "weights": None}, "inception", "fid"),
        ({"name": "efficientnet_lite0", "weights": "w.pth"}, "efficientnet_lite0", "frechet_distance"),
    ],
)
def test_only_inception_gives_a_fid(settings, name, metric):
    assert ExtractorSettings(**settings).network == name
    assert [m.key for m in shown_metrics(["frechet_distance"], name)] == [metric]
