from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medgen.evaluation.features import FOLDER, Extractor, names
from medgen.evaluation.sampling import Sampling
from medgen.networks.inception import InceptionFID
from medgen.networks.resnet50 import MedicalNetResNet50, RadImageNetResNet50
from medgen.scans.scan import ScanError


@pytest.fixture(scope="module")
def own() -> Extractor:
    return Extractor()


def test_its_own_extractor_is_shipped_small_and_known_by_its_hash(own: Extractor) -> None:
    assert own.label == f"FD-medgen-v1[{own.sha256[:8]}]" and "FID" not in own.label
    assert (FOLDER / "medgen-v1.pt").stat().st_size < 5 * 2**20
    assert (FOLDER / "README.md").is_file() and (FOLDER / "data_license.txt").is_file()
    assert own.sha256[:8] in (FOLDER / "README.md").read_text()


def test_features_of_a_volume_are_the_same_every_time(own: Extractor) -> None:
    volume = np.random.default_rng(0).random((112, 112, 112), dtype=np.float32)
    how = Sampling(slices=2, crop=64)
    found = own.features(volume, how)
    assert {view: rows.shape for view, rows in found.items()} == {
        "sagittal": (2, 64), "coronal": (2, 64), "axial": (2, 64), "volume": (8, 32)
    }  # fmt: skip
    again = own.features(volume, how)
    assert all((again[view] == rows).all() and np.isfinite(rows).all() for view, rows in found.items())
    classes = own.probabilities(found["axial"], "axial")
    assert classes.shape == (2, 18) and np.allclose(classes.sum(1), 1)


def test_blur_and_noise_move_the_features_more_the_stronger_they_are(own: Extractor) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    base = gaussian_filter(rng.random((8, 112, 112), dtype=np.float32), (0, 2, 2))
    base = (base - base.min()) / np.ptp(base) * (np.hypot(*np.mgrid[-56:56, -56:56]) < 45)
    clean = own.of(base.astype(np.float32), "planes")

    def moved(images: np.ndarray) -> float:
        return float(np.linalg.norm(own.of(images.astype(np.float32), "planes") - clean, axis=1).mean())

    noise = rng.standard_normal(base.shape)
    assert moved(base) == 0 < moved(base + 0.02 * noise) < moved(base + 0.05 * noise) < moved(base + 0.2 * noise)
    assert moved(gaussian_filter(base, (0, 1, 1))) < moved(gaussian_filter(base, (0, 2, 2))) < moved(gaussian_filter(base, (0, 4, 4)))


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith("medgen")])
def test_others_want_their_weights(name: str) -> None:
    with pytest.raises(ScanError, match="comes without weights; give their file"):
        Extractor(name)


def test_altered_or_needless_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "any.pt").write_bytes(b"x")
    with pytest.raises(ScanError, match="is not wanted"):
        Extractor("medgen-v1", tmp_path / "any.pt")
    with pytest.raises(ScanError, match="is no extractor"):
        Extractor("medgen-v9")
    for path in FOLDER.glob("medgen-v1.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "medgen-v1.pt").open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr("medgen.evaluation.features.FOLDER", tmp_path)
    with pytest.raises(ScanError, match="is altered"):
        Extractor()


def spread(state: dict[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random weights of the same names and shapes, of a scale that keeps the signal alive."""
    random = torch.Generator().manual_seed(seed)
    found = {}
    for name, value in state.items():
        if name.endswith("running_var"):
            found[name] = torch.rand(value.shape, generator=random) + 0.5
        elif value.dim() > 1:
            found[name] = torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5
        else:
            found[name] = 0.1 * torch.randn(value.shape, generator=random) + float(name.endswith("weight"))
    return {name: value for name, value in found.items() if not name.endswith("num_batches_tracked")}


def resnet_layout(keras: bool, dimensions: int = 2, inputs: int = 3) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of ResNet-50 without its last layer, as torchvision numbers and names them."""
    norm = ("weight", "bias", "running_mean", "running_var")
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, bn: str, out: int, channels: int, side: int) -> None:
        shapes[f"{name}.weight"] = (out, channels, *(side,) * dimensions)
        if keras:
            shapes[f"{name}.bias"] = (out,)
        shapes.update({f"{bn}.{part}": (out,) for part in norm})

    conv("conv1", "bn1", 64, inputs, 7)
    channels = 64
    for number, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            at = f"layer{number}.{block}"
            for place, (out, into, side) in enumerate(((width, channels, 1), (width, width, 3), (4 * width, width, 1)), 1):
                conv(f"{at}.conv{place}", f"{at}.bn{place}", out, into, side)
            if block == 0:
                conv(f"{at}.downsample.0", f"{at}.downsample.1", 4 * width, channels, 1)
            channels = 4 * width
    return shapes


def test_radimagenet_from_both_published_layouts(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2, 48, 48), dtype=np.float32)
    found = {}
    for keras, count in ((True, 23_534_592), (False, 23_508_032)):  # trainable parameters, as Keras and torchvision state them
        state = spread({name: torch.empty(shape) for name, shape in resnet_layout(keras).items()})
        if not keras:
            numbers = {name: str(n) for n, name in enumerate(("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"))}
            state = {f"backbone.{numbers[name.split('.')[0]]}.{name.partition('.')[2]}": value for name, value in state.items()}
        torch.save(state, tmp_path / "weights.pth")
        extractor = Extractor("radimagenet-resnet50", tmp_path / "weights.pth")
        network = extractor.networks["planes"]
        assert isinstance(network, RadImageNetResNet50) and network.keras is keras
        assert sum(p.numel() for p in network.parameters()) == count
        assert extractor.label.startswith("FID-RadImageNet[") and not extractor.has_classes("axial")
        found[keras] = extractor.of(images, "planes")
        assert found[keras].shape == (2, 2048) and np.isfinite(found[keras]).all() and found[keras].std() > 0
    assert not np.allclose(found[True], found[False])


def test_medicalnet_from_its_published_layout(tmp_path: Path) -> None:
    state = spread({name: torch.empty(shape) for name, shape in resnet_layout(False, 3, 1).items()})
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "resnet_50.pth")
    extractor = Extractor("medicalnet-resnet50", tmp_path / "resnet_50.pth")
    network = extractor.networks["volume"]
    assert isinstance(network, MedicalNetResNet50)
    torch.testing.assert_close(network.network.state_dict()["layer3.5.conv2.weight"], state["layer3.5.conv2.weight"])
    assert extractor.sampling().planes == () and extractor.sampling().crop == 112
    image = np.random.default_rng(0).random((1, 32, 32, 32), dtype=np.float32)
    features = extractor.of(image, "volume")
    assert features.shape == (1, 2048) and features.std() > 0
    np.testing.assert_allclose(extractor.of(3 * image + 1, "volume"), features, rtol=1e-4, atol=1e-3)  # it standardises


def test_inception_from_its_published_layout(tmp_path: Path) -> None:
    own = InceptionFID().state_dict()
    weights = {name: value for name, value in own.items() if not name.endswith("num_batches_tracked")}
    assert len(weights) == 94 * 5 + 2 and sum(p.numel() for p in InceptionFID().parameters()) == 23_850_960  # torchvision's, 1,008 classes
    for name, shape in {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_6b.branch7x7dbl_2.conv.weight": (128, 128, 7, 1), "Mixed_6e.branch7x7_2.conv.weight": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3), "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch_pool.bn.running_var": (192,), "fc.weight": (1008, 2048),
    }.items():  # fmt: skip
        assert tuple(own[name].shape) == shape
    torch.save(spread(own), tmp_path / "pt_inception.pth")
    extractor = Extractor("inception-fid", tmp_path / "pt_inception.pth")
    assert extractor.label == f"FID[{extractor.sha256[:8]}]"
    features = extractor.of(np.random.default_rng(0).random((2, 32, 32), dtype=np.float32), "planes")
    assert features.shape == (2, 2048) and features.std() > 0
    assert extractor.probabilities(features, "axial").shape == (2, 1008)
    with pytest.raises(ValueError, match="no network for crops"):
        extractor.check(Sampling())


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, file, words in (
        ("inception-fid", "other.pth", "does not hold the weights of inception-fid"),
        ("medicalnet-resnet50", "text.pth", "is no file of PyTorch weights"),
        ("radimagenet-resnet50", "list.pth", "holds no table of weights"),
    ):
        with pytest.raises(ScanError, match=words) as caught:
            Extractor(name, tmp_path / file)
        assert len(str(caught.value).splitlines()) == 1
