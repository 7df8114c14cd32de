"""A specification in words, English or Chinese, that `medgen.text.parse` reads back to the same specification."""

from __future__ import annotations

from medgen.text.spec import Lesion, Range, ScanSpec, Ventricles

LANGUAGES = ("en", "zh")
_SIZES = {0.6: "small", 1.0: "normal", 1.5: "mildly enlarged", 2.0: "enlarged", 3.0: "markedly enlarged"}
_KINDS = {"ms-like": "MS lesion", "stroke-like": "infarct", "tumour-like": "tumour", "unspecified": "lesion"}
_LOBES = ("frontal", "parietal", "temporal", "occipital")
_REGIONS = ("frontoparietal", "frontotemporal", "temporoparietal", "temporo-occipital", "parieto-occipital")
_BESIDE = ("periventricular", "juxtacortical")

_ZH_PLANES = {"axial": "轴位", "coronal": "冠状位", "sagittal": "矢状位"}
_ZH_CONTRASTS = {"T1": "T1", "T1c": "T1增强", "T2": "T2", "FLAIR": "FLAIR"}
_ZH_SIZES = {0.6: "缩小", 1.0: "正常", 1.5: "轻度扩大", 2.0: "扩大", 3.0: "明显扩大"}
_ZH_KINDS = {"ms-like": "多发性硬化病灶", "stroke-like": "梗死", "tumour-like": "肿瘤", "unspecified": "病灶"}
_ZH_SIDES = {"left": "左侧", "right": "右侧", None: ""}
_ZH_PLACES = {
    "frontal": "额叶", "parietal": "顶叶", "temporal": "颞叶", "occipital": "枕叶", "insula": "岛叶", "frontoparietal": "额顶叶",
    "frontotemporal": "额颞叶", "temporoparietal": "颞顶叶", "temporo-occipital": "颞枕叶", "parieto-occipital": "顶枕叶",
    "cerebellum": "小脑", "brainstem": "脑干", "thalamus": "丘脑", "basal ganglia": "基底节", "hippocampus": "海马",
    "corpus callosum": "胼胝体", "periventricular": "脑室旁", "juxtacortical": "近皮质", "white matter": "白质", None: "",
}  # fmt: skip


def sentence(spec: ScanSpec, orientation: str = "", language: str = "en") -> str:
    """Return a specification in words; plane, contrast, voxels, age, ventricles and lesions, as `describe` makes them.

    Args:
        spec: ventricles by a factor that has a word; lesions with a diameter and a count, on one side or none.
        orientation: of the stored axes, such as "RAS"; told, and ignored when it is read. "ASL" is left out, as it would be
            read as arterial spin labelling.
        language: "en" or "zh".

    Raises ValueError for another language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"there is no language '{language}'; choose from: {', '.join(LANGUAGES)}")
    orientation = "" if orientation == "ASL" else orientation
    return _english(spec, orientation) if language == "en" else _chinese(spec, orientation)


def _english(spec: ScanSpec, orientation: str) -> str:
    parts = [f"{spec.plane.capitalize() if spec.plane else '3D'} {spec.contrast or 'scan'}"]
    if spec.voxel_mm:
        parts.append(f"voxels of {' x '.join(f'{v:g}' for v in spec.voxel_mm)} mm")
    if orientation:
        parts.append(f"stored {orientation}")
    if spec.age_years:
        parts.append(f"aged {spec.age_years}")
    if spec.ventricles:
        one = spec.ventricles.side
        parts.append(f"{_SIZES[spec.ventricles.factor]} {one + ' ventricle' if one else 'ventricles'}")
    if spec.lesions == []:
        parts.append("no lesions")
    return ". ".join([", ".join(parts), *map(_lesion, spec.lesions or [])]) + "."


def _lesion(lesion: Lesion) -> str:
    low = lesion.count.low if lesion.count else None
    open_ended = lesion.count is not None and lesion.count.high is None
    count = "One" if low == 1 and not open_ended else f"{'At least ' if open_ended else ''}{low:g}"
    name = _KINDS[lesion.kind] + ("" if count == "One" else "s")
    side, place = lesion.side, lesion.place
    where = f"{place} lobe" if place in _LOBES else f"{place} region" if place in _REGIONS else place
    there = f"{side + ' ' if side else ''}{where}"
    told = f", {there}," if place in _BESIDE else f" in the {there}" if where else f" on the {side}" if side else ""
    oedema = {True: " with oedema", False: " without oedema", None: ""}[lesion.oedema]
    return f"{count} {name} of {lesion.diameter_mm} mm{told}{oedema}".rstrip(",")


def _chinese(spec: ScanSpec, orientation: str) -> str:
    parts = [_ZH_PLANES.get(spec.plane or "", "三维") + (_ZH_CONTRASTS[spec.contrast] if spec.contrast else "扫描")]
    if spec.voxel_mm:
        parts.append(f"体素{'×'.join(f'{v:g}' for v in spec.voxel_mm)}毫米")
    if orientation:
        parts.append(f"存储{orientation}")
    if spec.age_years:
        parts.append(f"{_zh_range(spec.age_years)}岁")
    if spec.ventricles:
        parts.append(_zh_ventricles(spec.ventricles))
    if spec.lesions == []:
        parts.append("无病灶")
    return "。".join(["，".join(parts), *map(_zh_lesion, spec.lesions or [])]) + "。"


def _zh_ventricles(said: Ventricles) -> str:
    return f"{_ZH_SIDES[said.side]}脑室{_ZH_SIZES[said.factor]}"  # type: ignore[index]


def _zh_lesion(lesion: Lesion) -> str:
    at_least = "至少" if lesion.count is not None and lesion.count.high is None else ""
    count = f"{at_least}{lesion.count.low if lesion.count else 1:g}个"
    where = _ZH_SIDES[lesion.side] + _ZH_PLACES[lesion.place]  # type: ignore[index]
    size = _zh_range(lesion.diameter_mm) if lesion.diameter_mm else ""
    oedema = {True: "，伴水肿", False: "，不伴水肿", None: ""}[lesion.oedema]
    return f"{where}{size}毫米{_ZH_KINDS[lesion.kind]}{count}{oedema}"


def _zh_range(wanted: Range) -> str:
    return f"{wanted.low:g}" if wanted.low == wanted.high else f"{wanted.low:g}至{wanted.high:g}"
