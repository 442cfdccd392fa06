"""How an encoder treats groups of people in a dataset: audited, written as a folder, and told to MLflow."""

import hashlib
import json
import posixpath
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from omokage.assess.audit_page import document, drawn
from omokage.assess.audited import Audited, AuditedConfig, audited
from omokage.assess.grouping import GroupConfig, Origin, grouped, origin
from omokage.assess.subject import Subject
from omokage.assess.subject import subject as opened_subject
from omokage.assess.tracked import track
from omokage.assess.written import PAGE, REPORT, free, read, write
from omokage.errors import WorkError
from omokage.evaluate import manifold
from omokage.evaluate.drawing import Plot
from omokage.flows.encoded import EncodedConfig, encoded
from omokage.ledger.version import opened
from omokage.progress import OnProgress, quietly
from omokage.shards import parquet_bytes
from omokage.storage import Folder, plain_name
from omokage.store import Dataset
from omokage.system import code
from omokage.tracking import place
from omokage.tracking.tracker import About
from omokage.vision.encoder import load_spec

PLACE: Final = "audits"
"""Folder of all audits, below the dataset's."""

TABLE: Final = "groups.parquet"
"""The group of each face."""

FORMAT: Final = 1
"""Goes up whenever the same faces and settings would give other figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFlowConfig:
    """Who is compared with whom, and how."""

    grouping: GroupConfig = field(default_factory=GroupConfig)
    compare: AuditedConfig = field(default_factory=AuditedConfig)
    encoder: str | None = None
    """Name of an encoder, or the TOML or .onnx file of one; by default the one that made the dataset's vectors. Vectors
    of another are made of the dataset's chips, and kept."""
    one_each: bool = False
    """Every picture shows another person, whatever the dataset says: for pictures without people, such as UTKFace's.
    There is no FNMR then, and --threshold is needed."""
    encoding: EncodedConfig = field(default_factory=EncodedConfig)
    tracking: str | None = None
    """Where figures are tracked: sqlite:///FILE.db, http://SERVER:PORT, or "off". By default MLFLOW_TRACKING_URI, else
    a file in your data folder."""
    experiment: str = "omokage"
    """Name under which MLflow lists this audit beside others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditReport:
    """An audit, and where it is."""

    folder: str
    new: bool
    """Whether it was made now; otherwise it was there, of the same faces and settings."""
    tracked: str | None
    seconds: float
    warnings: tuple[str, ...]
    """Of tracking; those of the figures are the audit's remarks."""
    report: dict[str, Any]
    """What ``report.json`` holds."""

    def json(self) -> str:
        """Return the report as one JSON object."""
        told = {name: value for name, value in asdict(self).items() if name != "report"}
        return json.dumps(self.report | told, ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [] if self.new else ["Nothing has changed since this audit was made: nothing was computed"]
        lines += [self.report["text"], "", *(f"Note: {warning}" for warning in self.warnings)]
        if self.report["licence"]:
            lines.append(f"Licence of the encoder's weights: {self.report['licence']}")
        if self.tracked:
            lines.append(f"Tracked: {self.tracked}")
        return "\n".join([*lines, f"{self.folder}/{PAGE}, {self.seconds:.1f} s"])


def audit(address: str, out: str | None, config: AuditFlowConfig, on_progress: OnProgress = quietly) -> AuditReport:
    """Return the audit of an encoder on a dataset, or on a version of one, made now or found unchanged.

    Args:
        address: DATASET or DATASET@VERSION.
        out: Folder or s3:// prefix for the audit; by default below the dataset, in ``audits``.
        config: Who is compared with whom, and how.
        on_progress: Told how far the work is.

    Raises:
        ConfigError: A setting is wrong, the data cannot show what was asked for, or the folder holds something else.
        DatasetError: There is no such dataset, or nothing in it to compare.
        WeightsError: The models of estimates, or another encoder's weights, cannot be had.
        WorkError: The audit could not be written.
    """
    began = time.monotonic()
    where = origin(config.grouping)
    place.resolve(config.tracking)
    if config.compare.umap:
        manifold.check()
    data, version = opened(address)
    folder = Folder.at(out) if out else _default(data, version, config, where)
    free(folder, "audit", data.head.source)
    vectors = encoded(data, config.encoder, None, config.encoding, on_progress) if config.encoder else None
    subject = opened_subject(address, vectors, config.one_each)
    key = _key([FORMAT, subject.digest, subject.encoder, subject.remarks, *_settings(config, where)])
    there = read(folder)
    if there is not None and there.get("key") == key:
        return _report(folder, there, config, began)
    found = audited(subject, grouped(subject, where, None, on_progress), config.compare, None, on_progress)
    plots = drawn(found)
    _write_table(folder, found)
    report = found.plain() | {"key": key, "code": code(), "text": found.text()}
    write(folder, "audit", json.dumps(report, ensure_ascii=False), document(found, plots), plots)
    warnings = _track(found, plots, folder, key, config) if place.resolve(config.tracking) else ()
    return replace(_report(folder, read(folder) or {}, config, began), new=True, warnings=warnings)


def _report(folder: Folder, told: dict[str, Any], config: AuditFlowConfig, began: float) -> AuditReport:
    store = place.resolve(config.tracking)
    return AuditReport(
        folder=folder.url,
        new=False,
        tracked=place.shown(store) if store else None,
        seconds=round(time.monotonic() - began, 3),
        warnings=(),
        report=told,
    )


def _settings(config: AuditFlowConfig, where: Origin) -> list[Any]:
    """Return all settings that figures depend on."""
    return [asdict(config.grouping), asdict(config.compare), where.digest]


def _default(data: Dataset, version: str | None, config: AuditFlowConfig, where: Origin) -> Folder:
    """Return the folder of an audit of which nobody said where it goes."""
    encoder = load_spec(config.encoder).name if config.encoder else str(data.head.recipe["encoder"]["name"])
    name = plain_name(encoder) or "encoder"
    told = [config.encoder, config.encoding.from_chips, config.one_each, *_settings(config, where)]
    base = "-".join([name, *([version] if version else []), _key(told)[:8]])
    return data.folder.below(f"{PLACE}/{base}")


def _key(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode(errors="surrogatepass")).hexdigest()


def _write_table(folder: Folder, found: Audited) -> None:
    """Write which group each face is in.

    Raises:
        WorkError: The disk is full, or writing is not permitted.
    """
    names = pa.array([*found.groups.names, None], pa.string())
    table = found.subject.faces.select(["face_id", "uri", "identity"])
    table = table.append_column("group", names.take(pa.array(found.groups.group_N % len(names))))
    if found.grouped.estimates:
        for name, value_N in (
            ("estimated_years", found.grouped.estimates.years_N),
            ("estimated_female", found.grouped.estimates.female_N),
        ):
            table = table.append_column(name, pa.array(value_N, pa.float64(), from_pandas=True))  # NaN becomes null
    try:
        folder.remove(REPORT)  # what is half written must not pass for the older one
        folder.write(TABLE, parquet_bytes(table))
    except OSError as error:
        raise WorkError(f"cannot write {folder.url}: {error.strerror or error}") from error


def _track(
    found: Audited, plots: dict[str, Plot], folder: Folder, key: str, config: AuditFlowConfig
) -> tuple[str, ...]:
    """Tell MLflow, and return what it did not take."""
    subject: Subject = found.subject
    about = About(
        name=f"{subject.encoder['name']} on {posixpath.basename(subject.given)}, {found.groups.source}",
        key=key[:32],
        experiment=config.experiment,
        where=folder.url,
        dataset=subject.given,
        digest=subject.digest,
        context="audit",
        commit=code()["commit"] or "",
        tags={"omokage.kind": "audit"},
        params={
            "encoder": subject.encoder,
            "one_each": config.one_each,
            "groups": asdict(config.grouping),
            "compare": asdict(config.compare),
        },
    )
    return track(config.tracking, about, _metrics(found), folder, plots)


def _metrics(found: Audited) -> dict[str, float | None]:
    """Return the figures that are told to MLflow."""
    told: dict[str, float | None] = {
        "threshold": found.audit.threshold,
        "fmr": found.audit.fmr,
        "fnmr": found.audit.fnmr,
        "faces_without_a_group": found.groups.misfits,
    }
    for gap in found.audit.gaps:
        told[f"{gap.rate.lower()}_max_over_mean"] = gap.max_over_mean.value if gap.max_over_mean else None
        told[f"{gap.rate.lower()}_p"] = gap.p_value
    told["spread_p"] = found.spread.p_value
    for number, group in enumerate(found.audit.groups):
        told[f"group_{number}_fmr"] = group.fmr.value if group.fmr else None
        told[f"group_{number}_fnmr"] = group.fnmr.value if group.fnmr else None
    return told
