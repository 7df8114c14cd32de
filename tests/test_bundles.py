"""The contract of every bundle in bundles/."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.inferers import Inferer
from monai.transforms import Compose

from medgen import bundles
from medgen.batch.ordered import paint
from medgen.bundles import BundleError, open_bundle, read_metadata
from medgen.slicer.tasks import BY_BUNDLE
from tests.monai_bundle import ended, forked, fresh, started

REPOSITORY = Path(__file__).resolve().parents[1]
NAMES = sorted(path.name for path in (REPOSITORY / "bundles").iterdir() if path.is_dir())
SCHEMA = REPOSITORY / "tests" / "meta_schema.json"
PURPOSE = {name: read_metadata(REPOSITORY / "bundles" / name).get("purpose") for name in NAMES}
PAINTING = [name for name in NAMES if PURPOSE[name] == "synthesise"]
TRANSLATING = [name for name in NAMES if PURPOSE[name] == "translate"]
RESTORING = [name for name in NAMES if name not in PAINTING + TRANSLATING]
each_bundle = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two small scans of a ball in noise."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.RandomState(0)
    x, y, z = np.ogrid[:40, :36, :33]
    ball = ((x - 20) ** 2 + (y - 18) ** 2 + (z - 16) ** 2 < 14**2) * 800.0
    for name in ("one", "two"):
        image = np.hypot(ball + 60 * rng.standard_normal(ball.shape), 60 * rng.standard_normal(ball.shape))
        nib.save(nib.Nifti1Image(image.astype(np.int16), np.diag([1.0, 1.2, 2.0, 1.0])), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of label maps (FreeSurfer's numbers), and one of scans with their classes, for bundles that paint."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.RandomState(0)
    x, y, z = np.ogrid[:40, :36, :33]
    radius = np.sqrt((x - 20) ** 2 + (y - 18) ** 2 + (z - 16) ** 2)
    for name in ("one", "two"):
        for kind, numbers in (("labels", (24, 3, 2, 4)), ("pairs", (9, 1, 2, 3))):
            (folder / kind).mkdir(exist_ok=True)
            array = np.select([radius < 4, radius < 9, radius < 12, radius < 14], numbers[::-1], 0).astype(np.uint8)
            suffix = "" if kind == "labels" else "_T1_classes"
            nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.2, 2.0, 1.0])), folder / kind / f"{name}{suffix}.nii.gz")
        image = np.select([radius < 4, radius < 9, radius < 12, radius < 14], (0.2, 0.5, 0.35, 0.1), 0) + 0.01 * rng.standard_normal(array.shape)
        nib.save(nib.Nifti1Image(image.astype(np.float32), np.diag([1.0, 1.2, 2.0, 1.0])), folder / "pairs" / f"{name}_T1.nii.gz")
    return folder


@pytest.fixture(scope="module")
def contrasts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two T1 heads made to order, and one of T1, T2 and FLAIR of two heads on one grid, for bundles that translate."""
    folder = tmp_path_factory.mktemp("contrasts")
    (folder / "heads").mkdir()
    (folder / "pairs").mkdir()
    painter = open_bundle(next(name for name in PAINTING if read_metadata(REPOSITORY / "bundles" / name).get("text")), "cpu")
    for seed, name in enumerate(("one", "two")):
        scan, made = paint(painter, {"contrast": "T1"}, seed)
        head = nib.Nifti1Image(made.images[""].astype(np.int16), np.asarray(scan.image.affine))
        nib.save(head, folder / f"heads/{name}.nii.gz")
        white = made.images[""][30:70, 35:75, 50:90] / 1000
        three = np.stack([white, 0.9 - white, 0.6 - 0.2 * white], -1).clip(0)
        for kind in ("real", "drawn"):
            nib.save(nib.Nifti1Image(three.astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"pairs/{name}_head_{kind}.nii.gz")
    return folder


@pytest.fixture
def data(name: str, scans: Path, request: pytest.FixtureRequest) -> dict[str, Path]:
    """What a bundle takes, by workflow."""
    if name in PAINTING:
        labelled = request.getfixturevalue("labelled")
        return {"inference": labelled / "labels", **dict.fromkeys(("train", "evaluate"), labelled / "pairs")}
    if name in TRANSLATING:
        contrasts = request.getfixturevalue("contrasts")
        return {"inference": contrasts / "heads", **dict.fromkeys(("train", "evaluate"), contrasts / "pairs")}
    return dict.fromkeys(("inference", "train", "evaluate"), scans)


def run(name: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs a workflow of a bundle: for one of them all is as a user has it, imports included."""
    return fresh if name == RESTORING[0] else forked


def config(name: str, *files: str) -> str:
    paths = [str(REPOSITORY / ("bundles/" + name if file != "smoke" else "") / "configs" / f"{file}.json") for file in files]
    return str(paths) if len(paths) > 1 else paths[0]


@each_bundle
def test_the_folder_holds_what_a_bundle_needs(name: str) -> None:
    root = REPOSITORY / "bundles" / name
    needed = ["LICENSE", "docs/README.md", "docs/data_license.txt", "models/model.pt"]
    needed += [f"configs/{kind}.json" for kind in ("metadata", "train", "inference", "evaluate")]
    assert [path for path in needed if not (root / path).is_file()] == []
    assert not list(root.rglob("*.py")), "a bundle is all config"
    assert (root / "models/model.pt").stat().st_size < 25 * 2**20


@each_bundle
def test_the_network_has_its_weights_and_returns_one_tensor(name: str) -> None:
    bundle = open_bundle(name, "cpu")
    assert sum(p.numel() for p in bundle.network.parameters()) <= 6_000_000
    with torch.inference_mode():
        out = bundle.network(torch.rand(1, bundle.channels, 32, 16, 48))
    assert isinstance(out, torch.Tensor) and out.shape == (1, 1, 32, 16, 48)


@each_bundle
def test_the_network_makes_no_tensors_on_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would meet its weights on a GPU; without one, the meta device refuses tensors of another device as well."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # of which the meta device knows nothing
    bundle = open_bundle(name, "cpu")
    with torch.inference_mode():
        out = bundle.get("network_def").eval().to("meta")(torch.empty(1, bundle.channels, 32, 16, 48, device="meta"))
    assert out.device.type == "meta" and out.shape == (1, 1, 32, 16, 48)


@each_bundle
def test_the_metadata_tell_what_the_bundle_is_for(name: str) -> None:
    metadata = read_metadata(REPOSITORY / "bundles" / name)
    assert metadata.get("purpose") in [task.name for task in BY_BUNDLE], "a new purpose is an entry of medgen.slicer.tasks"
    assert metadata.get("uncertainty", False) is hasattr(open_bundle(name, "cpu").network, "uncertainty")


@each_bundle
def test_what_monai_label_and_monai_deploy_ask_of_a_bundle_is_there(name: str) -> None:
    """Their bundle apps build these keys of the inference config, and take no other name for them."""
    bundle = open_bundle(name, "cpu")
    assert isinstance(bundle.get("network_def"), torch.nn.Module)
    assert isinstance(bundle.get("inferer"), Inferer)
    for key in ("preprocessing", "postprocessing"):
        assert isinstance(bundle.get(key), Compose)


@each_bundle
def test_metadata_keeps_the_schema(name: str, tmp_path: Path) -> None:
    done = forked(
        "verify_metadata",
        "--meta_file",
        str(REPOSITORY / "bundles" / name / "configs/metadata.json"),
        "--filepath",
        str(SCHEMA),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    metadata = json.loads((REPOSITORY / "bundles" / NAMES[0] / "configs/metadata.json").read_text())
    del metadata["network_data_format"]["inputs"]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    done = forked("verify_metadata", "--meta_file", "metadata.json", "--filepath", str(SCHEMA), cwd=tmp_path)
    assert done.returncode != 0


@each_bundle
def test_input_and_output_are_as_the_metadata_say(name: str, tmp_path: Path) -> None:
    done = forked("verify_net_in_out", "network_def", "--config_file", config(name, "inference"), "--device", "cpu",
                 "--meta_file", str(REPOSITORY / "bundles" / name / "configs/metadata.json"), "--n", "4", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@each_bundle
def test_export_to_torchscript_keeps_the_outputs(name: str, tmp_path: Path) -> None:
    root = REPOSITORY / "bundles" / name
    done = forked("ckpt_export", "network_def", "--filepath", "model.ts", "--ckpt_file", str(root / "models/model.pt"),
                 "--meta_file", str(root / "configs/metadata.json"), "--config_file", config(name, "inference"),
                 "--use_trace", "True", "--input_shape", f"[1, {open_bundle(name).channels}, 32, 32, 32]", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    image = torch.rand(1, open_bundle(name).channels, 48, 32, 64)
    exported = torch.jit.load(tmp_path / "model.ts")
    with torch.inference_mode():
        torch.testing.assert_close(exported(image), open_bundle(name, "cpu").network(image), atol=1e-5, rtol=1e-5)


def train_together(name: str, scans: Path, output: Path) -> list[str]:
    """Return the arguments of a training of several processes."""
    files = [config(name, "train"), str(REPOSITORY / "configs/smoke.json"), str(REPOSITORY / "configs/multi_gpu.json")]
    return ["run", "--config_file", str(files), "--dataset_dir", str(scans), "--output_dir", str(output)]


@each_bundle
@pytest.mark.parametrize("kind", ["train", "inference", "evaluate"])
def test_no_property_is_missing(name: str, kind: str, data: dict[str, Path]) -> None:
    from monai.bundle import create_workflow

    workflow = create_workflow(
        config_file=config(name, kind),
        workflow_type="train" if kind == "train" else "infer",
        dataset_dir=str(data[kind]),
        device="$torch.device('cpu')",
    )
    assert workflow.check_properties() == []


@each_bundle
def test_training_runs_from_elsewhere_and_resumes(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("run", "--config_file", config(name, "train", "smoke"), "--dataset_dir", str(data["train"]))
    first = run(name)(*arguments, "--output_dir", str(tmp_path / "out"), cwd=tmp_path)
    assert first.returncode == 0, first.stderr[-3000:]
    weights = torch.load(tmp_path / "out/models/model.pt", weights_only=True)
    again = forked(*arguments, "--output_dir", str(tmp_path / "out"), "--resume", "True", "--epochs", "2", cwd=tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    resumed = torch.load(tmp_path / "out/models/model.pt", weights_only=True)
    assert weights.keys() == resumed.keys()
    assert any(not torch.equal(weights[key], resumed[key]) for key in weights)


@pytest.mark.parametrize(("name", "stage"), [(p.parts[-3], p.stem) for p in sorted(REPOSITORY.glob("bundles/*/configs/train_*.json"))])
def test_later_stages_of_training_go_on_from_the_shipped_weights(name: str, stage: str, data: dict[str, Path], tmp_path: Path) -> None:
    shipped = REPOSITORY / "bundles" / name / "models/model.pt"
    done = forked("run", "--config_file", config(name, "train", stage, "smoke"), "--dataset_dir", str(data["train"]),
                  "--output_dir", str(tmp_path / "out"), "--start", str(shipped), cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = (torch.load(path, weights_only=True) for path in (shipped, tmp_path / "out/models/model.pt"))
    assert before.keys() == after.keys() and any(not torch.equal(before[key].float(), after[key].float()) for key in before)


@each_bundle
def test_two_processes_train_together(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    arguments = train_together(name, data["train"], tmp_path / "out")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}  # as torchrun tells
    running = [started(*arguments, cwd=tmp_path, RANK=rank, LOCAL_RANK=rank, **world) for rank in ("0", "1")]
    for done in [ended(one) for one in running]:
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out/models/model.pt").is_file()


def test_torchrun_starts_two_processes_that_train_together(scans: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", "-m", "monai.bundle"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, *train_together(RESTORING[0], scans, tmp_path / "out")], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out/models/model.pt").is_file()


@pytest.mark.parametrize("name", RESTORING)
def test_inference_runs_from_elsewhere_and_keeps_the_grid(name: str, scans: Path, tmp_path: Path) -> None:
    metadata = read_metadata(REPOSITORY / "bundles" / name)
    keep = ("--spacing", "2.0") if "spacing" in metadata.get("settings", {}) else ()  # whose task is to change the grid
    done = run(name)("run", "--config_file", config(name, "inference"), "--dataset_dir", str(scans), *keep,
                 "--output_dir", str(tmp_path / "out"), "--device", "$torch.device('cpu')", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for case in ("one", "two"):
        before = nib.load(scans / f"{case}.nii.gz")
        after = nib.load(tmp_path / f"out/{case}_{name}.nii.gz")
        assert after.shape == before.shape
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
        inside = np.asarray(after.dataobj)[14:26, 12:24, 10:22]
        assert abs(inside.mean() - 800) < 40  # the ball in its own units
        assert inside.std() < (40 if "denoise" in name else 70)  # of a noise of 60


def check_marked(made: list[Path], name: str) -> None:
    """Say that synthetic files tell so in their headers and sidecars."""
    for path in made:
        assert str(nib.load(path).header["descrip"].item().decode()) == f"medgen SYNTHETIC {name}"
        told = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert told["synthetic"] is True and told["bundle"] == name and len(told["weights_sha256"]) == 64


@pytest.mark.parametrize("name", PAINTING)
def test_what_is_painted_from_elsewhere_is_marked_and_on_its_grid(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    metadata = read_metadata(REPOSITORY / "bundles" / name)
    ordered = ("--text", "T2, small ventricles", "--count", "2") if metadata.get("text") else ("--contrast", "T2")
    done = forked("run", "--config_file", config(name, "inference"), "--dataset_dir", str(data["inference"]), *ordered,
                  "--output_dir", str(tmp_path / "out"), "--device", "$torch.device('cpu')", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    made = sorted((tmp_path / "out").glob("*.nii.gz"))
    assert len(made) == 2 and all("synthesis" in path.name for path in made)
    check_marked(made, name)
    if metadata.get("text"):
        assert not np.array_equal(*(nib.load(path).dataobj for path in made))
        return
    labels = nib.load(data["inference"] / "one.nii.gz")
    image = nib.load(made[0])
    assert image.shape == labels.shape
    np.testing.assert_allclose(image.affine, labels.affine, atol=1e-5)
    values, numbers = np.asarray(image.dataobj), np.asarray(labels.dataobj)
    assert values[numbers == 4].mean() > values[numbers == 2].mean() > values[numbers == 0].mean() + 100  # T2: fluid is bright


@pytest.mark.parametrize("name", TRANSLATING)
def test_a_translation_from_elsewhere_is_marked_and_on_its_grid(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    done = forked("run", "--config_file", config(name, "inference"), "--dataset_dir", str(data["inference"]), "--contrast", "T2",
                  "--output_dir", str(tmp_path / "out"), "--device", "$torch.device('cpu')", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for case in ("one", "two"):
        before = nib.load(data["inference"] / f"{case}.nii.gz")
        made = tmp_path / f"out/{case}_synthetic_{name}.nii.gz"
        check_marked([made], name)
        after = nib.load(made)
        assert after.shape == before.shape
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
        t1, t2 = np.asarray(before.dataobj), np.asarray(after.dataobj)
        inside = (slice(30, 70), slice(35, 75), slice(50, 90))
        assert np.corrcoef(t1[inside].ravel(), t2[inside].ravel())[0, 1] < -0.3  # fluid dark, then bright


@each_bundle
def test_evaluation_runs_from_elsewhere(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    done = run(name)("run", "--config_file", config(name, "evaluate"), "--dataset_dir", str(data["evaluate"]),
                 "--output_dir", str(tmp_path / "out"), "--device", "$torch.device('cpu')", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = dict(line.split(",") for line in (tmp_path / "out/metrics.csv").read_text().split())
    least = 15 if "repair" in name else 20  # a repair is measured inside its holes alone
    least = 10 if name in TRANSLATING else least  # phantoms whose contrasts are nobody's
    assert float(metrics["psnr"]) > least and 0 < float(metrics["mae"]) < (0.3 if name in TRANSLATING else 0.1)


@each_bundle
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_missing_or_altered_weights_stop_it(name: str, damage: str, data: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copytree(REPOSITORY / "bundles" / name, copy)
    weights = copy / "models/model.pt"
    if damage == "missing":
        weights.unlink()
    else:
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    with pytest.raises(BundleError, match="weights are"):
        _ = open_bundle(str(copy), "cpu").network
    done = forked("run", "--config_file", str(copy / "configs/inference.json"), "--dataset_dir", str(data["inference"]),
                 "--output_dir", str(tmp_path / "out"), cwd=tmp_path)  # fmt: skip
    assert done.returncode != 0
    assert "weights are" in done.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_an_unknown_bundle_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BundleError, match=NAMES[0]):
        bundles.find("mr_denoise_vaee")


def test_an_unknown_device_is_refused_with_the_choices() -> None:
    with pytest.raises(BundleError, match="choose from: cpu"):
        open_bundle(NAMES[0], "tpu")


def test_bundles_are_found_in_folders_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPOSITORY / "bundles" / NAMES[0], tmp_path / "mine")
    monkeypatch.setenv("MEDGEN_BUNDLES", str(tmp_path))
    assert bundles.available()["mine"] == tmp_path / "mine"


def test_broken_metadata_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        read_metadata(tmp_path)


@each_bundle
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here"))]
)
def test_tiles_equal_one_pass_on_any_shape(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 to 1e-4 of the range, with the shipped weights, where memory forces tiles."""
    if device == "cuda":
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    bundle = open_bundle(name, device)
    inferer, network = bundle.get("inferer"), bundle.network
    inferer.bf16, inferer.flips = False, 1
    channels = bundle.channels
    for seed, shape in enumerate([(203, 15, 30), (16, 208, 17), (25, 14, 216)]):
        generator = torch.Generator().manual_seed(seed)
        blocks = torch.rand(1, channels, *(-(-n // 6) for n in shape), generator=generator)
        image = torch.nn.functional.interpolate(blocks, scale_factor=6)[..., : shape[0], : shape[1], : shape[2]]
        image = image + 0.1 * torch.randn(image.shape, generator=generator)
        with monkeypatch.context() as patch:
            patch.setattr("medgen.inference.inferers.allowance", lambda *_: float("inf"))
            one = inferer(image, network)
        padded = [n + -n % s for n, s in zip(shape, inferer._known[1].stride)]
        memory = 0.8 * np.prod(padded) * inferer._known[1].bytes_a_voxel
        with monkeypatch.context() as patch:
            patch.setattr("medgen.inference.inferers.allowance", lambda *_, memory=memory: memory)
            assert len(inferer._plan(inferer._known[1], (1, channels, *padded)).tiles) > 1
            tiles = inferer(image, network)
        assert (tiles - one).abs().max() <= 1e-4 * (one.max() - one.min())


def settings_of(tmp_path: Path, settings: dict) -> Path:
    """Return a copy of a bundle that has settings."""
    root = tmp_path / "bundle"
    shutil.copytree(REPOSITORY / "bundles" / NAMES[0], root)
    metadata = read_metadata(root)
    (root / "configs/metadata.json").write_text(json.dumps({**metadata, "settings": settings}))
    return root


def test_settings_are_checked_and_reach_the_config(tmp_path: Path) -> None:
    root = settings_of(tmp_path, {"strength": {"default": 0.5, "low": 0, "high": 1, "help": "how much"},
                                  "profile": {"default": "box", "choices": ["box", "gaussian"], "help": "which"}})  # fmt: skip
    assert open_bundle(str(root)).settings == {"strength": 0.5, "profile": "box"}
    chosen = open_bundle(str(root), settings={"strength": 1})
    assert chosen.settings == {"strength": 1, "profile": "box"} and chosen.get("strength") == 1
    for settings, message in [({"strenght": 1}, "it has: strength, profile"), ({"strength": 1.5}, "from 0 to 1, not 1.5"),
                              ({"strength": "much"}, "not much"), ({"profile": "sinc"}, "one of box, gaussian, not sinc")]:  # fmt: skip
        with pytest.raises(BundleError, match=message):
            open_bundle(str(root), settings=settings)
