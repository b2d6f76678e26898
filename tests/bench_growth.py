"""What features cost as a force grows: time and memory against officers, months and measures, as a picture.

Each size is measured in a process of its own, so that its memory is its own: the most that was held while rows were
made, less what was held before (the histories). `make bench ARGS=growth` writes features/growth.svg.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from rich.table import Table

from tests.bench_features import bench_histories, memory_at_hand, ours

PICTURE = Path(__file__).parent.parent / "features" / "growth.svg"
USUAL = {"officers": 8_000, "months": 24, "measures": 6}
SIZES = {"officers": (2_000, 4_000, 8_000, 16_000), "months": (12, 24, 36, 48), "measures": (3, 6, 12, 24)}
LABELS = {"officers": "民警 Officers", "months": "月份 Months", "measures": "指标 Measures"}
TIMES = 3
PAGE_RESET = "5"
"""Written to clear_refs, it makes the kernel forget the most memory held so far."""


@dataclass(frozen=True)
class Cost:
    """What the rows of one size cost; bytes beyond the histories, those of the rows themselves among them."""

    officers: int
    months: int
    measures: int
    seconds: float
    cpu_seconds: float
    held: int
    written: int

    @property
    def share(self) -> float:
        """How many times the output was held."""
        return self.held / self.written


def grown(along: str) -> list[list[Cost]]:
    """Return the costs along officers, months or measures, the other two as usual: some rounds of all sizes."""
    return [[measured(**{**USUAL, along: size}) for size in SIZES[along]] for _ in range(TIMES)]


def best(rounds: Sequence[Sequence[Cost]]) -> list[Cost]:
    """Return each size's round that took least."""
    return [min(costs, key=lambda cost: cost.cpu_seconds) for costs in zip(*rounds, strict=True)]


def measured(*, officers: int, months: int, measures: int) -> Cost:
    """Return what one size costs in a new process."""
    told = [sys.executable, "-m", "tests.bench_growth", str(officers), str(months), str(measures)]
    done = subprocess.run(told, check=True, capture_output=True, text=True)
    return Cost(officers, months, measures, **json.loads(done.stdout))


def exponent(along: str, costs: Sequence[Cost], of: str) -> float:
    """Return the power of growth: 1 where twice the size costs twice as much."""
    sizes = np.log([getattr(cost, along) for cost in costs])
    return float(np.polyfit(sizes, np.log([getattr(cost, of) for cost in costs]), 1)[0])


def table(found: Mapping[str, Sequence[Cost]]) -> Table:
    """Return the sizes and their costs, below them the straight line through those that grow together."""
    lines, fits = Table(title="Cost of growth: the best of some rounds"), []
    for column in ("officers", "months", "measures", "CPU s", "wall s", "held MB", "times the output"):
        lines.add_column(column, justify="right")
    for along, costs in found.items():
        steep, level = np.polyfit([getattr(cost, along) for cost in costs], [cost.cpu_seconds for cost in costs], 1)
        fits.append(f"CPU s = {level:.2f} + {steep:.2g} x {along}")
        for cost in costs:
            told = (f"{cost.cpu_seconds:.2f}", f"{cost.seconds:.2f}", f"{cost.held / 1e6:,.0f}", f"{cost.share:.2f}")
            lines.add_row(f"{cost.officers:,}", str(cost.months), str(cost.measures), *told)
        lines.add_section()
    lines.caption = "\n".join(fits)
    return lines


def draw(costs: Mapping[str, Sequence[Cost]]) -> None:
    """Write the picture: a column for what grows, a row for time and one for memory."""
    columns = [_column(along, found) for along, found in costs.items()]
    picture = alt.hconcat(*columns).configure(font="Noto Sans CJK SC, Microsoft YaHei, sans-serif")
    picture = picture.configure_axis(gridColor="#dfe4ea", titleColor="#1b2430", labelColor="#4f5a68")
    PICTURE.write_text(vl_convert.vegalite_to_svg(picture.to_dict()), encoding="utf-8")


def _column(along: str, costs: Sequence[Cost]) -> alt.VConcatChart:
    rows = pd.DataFrame(
        [{"size": getattr(cost, along), "seconds": cost.cpu_seconds, "GB": cost.held / 1e9} for cost in costs]
    )
    return alt.vconcat(*(_panel(rows, LABELS[along], of) for of in ("seconds", "GB")))


def _panel(rows: pd.DataFrame, label: str, of: str) -> alt.LayerChart:
    titles = {"seconds": "处理器秒 CPU seconds", "GB": "内存 Memory, GB"}
    base = alt.Chart(rows).encode(
        x=alt.X("size:Q", title=label, axis=alt.Axis(values=rows["size"].tolist())),
        y=alt.Y(f"{of}:Q", title=titles[of], scale=alt.Scale(zero=True)),
    )
    fit = base.transform_regression("size", of).mark_line(strokeDash=[4, 3], color="#4f5a68")
    return (fit + base.mark_point(filled=True, size=60, color="#0f5c6e")).properties(width=180, height=140)


def _status(name: str) -> int:
    """Bytes that the kernel tells of this process: VmRSS now, VmHWM the most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def main(officers: int, months: int, measures: int) -> None:
    """Print what one size costs, after a small one has loaded the compiled loops."""
    ours(bench_histories(50, months, measures), months=months)
    given = bench_histories(officers, months, measures)
    memory_at_hand()
    Path("/proc/self/clear_refs").write_text(PAGE_RESET)
    before, start, cpu = _status("VmRSS"), time.perf_counter(), time.process_time()
    written = ours(given, months=months).nbytes
    took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    sys.stdout.write(json.dumps({**took, "held": _status("VmHWM") - before, "written": written}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
