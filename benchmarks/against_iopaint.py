"""cleanplate against IOPaint: LaMa of the same weights, the same photographs and masks, one machine.

    python benchmarks/lama_weights.py big-lama.pt
    python benchmarks/against_iopaint.py --weights big-lama.pt --iopaint iopaint-env/bin/iopaint

Photographs of 0.4 to 8 megapixels (scikit-image's, enlarged) get corner logos, lines of text and tiled marks;
each kind is a run of its own. Printed are photographs a second, the processor's seconds (which other work on
the machine changes less), the peak of resident memory, the share of the time that the network takes, and the
limit: the ratio of the areas that go through the network, theirs over ours, which counts IOPaint's own crops
(each contour's box and 128 pixels of context; all of a photograph up to 800 pixels). Start-up, printed apart
and taken off everything else, is a run over one photograph with a mark of 8 pixels: programs, weights and a
first small pass. With random weights the results are noise; only times and memory mean anything.

At full length that is 40 photographs, 40 megapixels through our network and 108 through theirs, about half an
hour on two cores. `--tiled-count` says how many photographs have tiled marks, which take five sixths of that;
their sizes still go from 0.4 to 8 megapixels.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import psutil
from skimage import data

from cleanplate.detect.given import GivenMask, detect_from_mask
from cleanplate.models.spec import SPECS
from cleanplate.pipeline.assemble import make_fill_rule
from cleanplate.pipeline.crops import place_crops

KINDS = ("corner", "text", "tiled")
#: IOPaint fills photographs up to this edge whole, and crops larger ones with this margin.
WHOLE_PX, MARGIN_PX = 800, 128
STRIDE = 8
#: Of the photograph that start-up is measured with: longer than IOPaint would fill whole.
IDLE_MEGAPIXELS = 0.7


@dataclass(frozen=True)
class Measured:
    """One program on one folder."""

    wall_seconds: float
    processor_seconds: float
    peak_bytes: int
    network_seconds: float | None = None

    def without(self, startup: Measured) -> Measured:
        """What is left of the times when a start is taken off; the peak stays."""
        network = self.network_seconds
        return Measured(
            max(1e-9, self.wall_seconds - startup.wall_seconds),
            max(1e-9, self.processor_seconds - startup.processor_seconds),
            self.peak_bytes,
            None if network is None else network - (startup.network_seconds or 0),
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="a LaMa, see lama_weights.py")
    parser.add_argument("--iopaint", type=Path, help="its program; without it cleanplate alone is measured")
    parser.add_argument("--count", type=int, default=40, help="photographs in all (default: 40)")
    parser.add_argument("--tiled-count", type=int, help="with tiled marks (default: a third of --count)")
    parser.add_argument("--largest", type=float, default=8.0, help="megapixels of the largest (default: 8)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="against-iopaint-") as name:
        measure(arguments, Path(name))


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """All kinds, and start-up before them."""
    checkpoints = folder / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(arguments.weights, checkpoints / "big-lama.pt")  # a copy: IOPaint deletes what it dislikes
    idle = folder / "idle"
    draw(idle, "speck", 1, IDLE_MEGAPIXELS)
    programs = {"cleanplate": lambda at: run_cleanplate(at, arguments.weights)}
    if arguments.iopaint:
        programs["IOPaint"] = lambda at: run_iopaint(at, arguments.iopaint, folder / "torch")
    startup = {program: run(idle) for program, run in programs.items()}
    print("| | photographs/s | processor s | peak MB | network megapixels | network's share |\n"
          "| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    for program, found in startup.items():
        print(f"| start-up, {program} | {found.wall_seconds:.1f} s | {found.processor_seconds:.1f} | "
              f"{found.peak_bytes / 1e6:.0f} | {count_areas(idle)[program] / 1e6:.2f} | |")  # fmt: skip
    for kind in arguments.kinds:
        at = folder / kind
        count = max(1, arguments.count // len(arguments.kinds))
        draw(at, kind, arguments.tiled_count or count if kind == "tiled" else count, arguments.largest)
        areas = {program: area - count_areas(idle)[program] for program, area in count_areas(at).items()}
        results = {program: run(at).without(startup[program]) for program, run in programs.items()}
        for program, found in results.items():
            rate = len(list((at / "image").iterdir())) / found.wall_seconds
            network = found.network_seconds
            share = "" if network is None else f"{network / found.wall_seconds:.2f}"
            print(f"| {kind}, {program} | {rate:.3g} | {found.processor_seconds:.1f} | "
                  f"{found.peak_bytes / 1e6:.0f} | {areas[program] / 1e6:.2f} | {share} |",
                  flush=True)  # fmt: skip
        if len(results) == 2:
            compare(kind, results, areas)


def compare(kind: str, results: dict[str, Measured], areas: dict[str, int]) -> None:
    """The ratios, and how near they come to the limit."""
    ours, theirs = results["cleanplate"], results["IOPaint"]
    wall = theirs.wall_seconds / ours.wall_seconds
    used = theirs.processor_seconds / ours.processor_seconds
    limit = areas["IOPaint"] / areas["cleanplate"]
    print(f"| {kind}, times faster (limit {limit:.2f}) | {wall:.2f}: {wall / limit:.2f} of it | "
          f"{used:.2f}: {used / limit:.2f} | {ours.peak_bytes / theirs.peak_bytes:.2f} of theirs | | |",
          flush=True)  # fmt: skip


def draw(folder: Path, kind: str, count: int, largest: float) -> None:
    """`image/` and `mask/` with PNG files of equal names."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for name in ("image", "mask"):
        (folder / name).mkdir(parents=True)
    megapixels = np.geomspace(largest, min(0.4, largest), count)  # of one photograph: the largest
    for number, size in enumerate(megapixels):
        width, height = int(np.sqrt(size * 1.5e6)), int(np.sqrt(size * 1e6 / 1.5))
        picture = cv2.resize(pictures[number % 4], (width, height), interpolation=cv2.INTER_CUBIC)
        mask = draw_mask(kind, height, width)
        picture[mask > 0] = 255
        cv2.imwrite(str(folder / "image" / f"{number:03}.png"), picture[..., ::-1])
        cv2.imwrite(str(folder / "mask" / f"{number:03}.png"), mask)


def draw_mask(kind: str, height: int, width: int) -> np.ndarray:
    """(height, width) uint8 of 0 and 255."""
    mask = np.zeros((height, width), np.uint8)
    unit = min(height, width) / 20
    text, font, thick = "PHOTO 2026", cv2.FONT_HERSHEY_SIMPLEX, max(2, round(unit / 10))
    scale = unit / 22
    if kind == "speck":
        mask[height // 2 : height // 2 + 8, width // 2 : width // 2 + 8] = 255
    elif kind == "corner":
        centre = (round(width - 2.5 * unit), round(height - 2.5 * unit))
        cv2.circle(mask, centre, round(1.2 * unit), 255, thick * 2)
        cv2.circle(mask, centre, round(0.5 * unit), 255, -1)
    elif kind == "text":
        cv2.putText(mask, text, (round(unit), round(height - unit)), font, 1.6 * scale, 255, thick)
    elif kind == "tiled":
        for row in range(4):
            for column in range(3):
                at = (round((column + 0.1 * row) * width / 3.2), round((row + 0.6) * height / 4.2))
                cv2.putText(mask, "SAMPLE", at, font, 1.2 * scale, 255, thick)
    return mask


def count_areas(folder: Path) -> dict[str, int]:
    """Pixels that go through the network: IOPaint's passes, and ours, both padded."""
    ours = theirs = 0
    rule = make_fill_rule(SPECS["lama"].most_px)
    for path in sorted((folder / "mask").iterdir()):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
        height, width = mask.shape
        for box in place_crops(detect_from_mask(GivenMask(mask)).boxes, height, width, rule):
            ours += pad(box.width) * pad(box.height)
        if max(height, width) <= WHOLE_PX:
            theirs += pad(width) * pad(height)
            continue
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            _, _, wide, high = cv2.boundingRect(contour)
            theirs += pad(min(width, wide + 2 * MARGIN_PX)) * pad(min(height, high + 2 * MARGIN_PX))
    return {"cleanplate": ours, "IOPaint": theirs}


def pad(edge: int) -> int:
    """To the network's stride."""
    return edge + -edge % STRIDE


def run_cleanplate(folder: Path, weights: Path) -> Measured:
    """`cleanplate repair --inpaint PATH --masks DIR`."""
    shutil.rmtree(folder / "ours", ignore_errors=True)
    words = [sys.executable, "-m", "cleanplate", "repair", str(folder / "image"), "-o", str(folder / "ours")]
    words += ["--masks", str(folder / "mask"), "--inpaint", str(weights), "--trust"]
    words += ["--device", "cpu", "--quiet", "--json"]
    found, output = run_measured(words, dict(os.environ))
    seconds = json.loads(output[output.index("{") : output.rindex("}") + 1])["seconds"]
    return replace(found, network_seconds=seconds["by_stage"]["fill"])


def run_iopaint(folder: Path, program: Path, torch_home: Path) -> Measured:
    """`iopaint run --model lama` with its own environment's packages only."""
    words = [str(program), "run", "--model=lama", "--device=cpu", f"--image={folder / 'image'}"]
    words += [f"--mask={folder / 'mask'}", f"--output={folder / 'theirs'}"]
    environment = {**os.environ, "TORCH_HOME": str(torch_home), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    return run_measured(words, environment)[0]


def run_measured(words: list[str], environment: dict[str, str]) -> tuple[Measured, str]:
    """Run a program to its end; time, processor time and peak memory of it and its children; its words."""
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    began = time.perf_counter()
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0]
    used = [0.0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak, used))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode:
        sys.exit(f"{words[0]} failed:\n{output[-3000:]}")
    return Measured(seconds, used[0], peak[0]), output


def watch(pid: int, peak: list[int], used: list[float]) -> None:
    """Look every 50 ms as long as the process is there."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            tree = [root, *root.children(recursive=True)]
            resident = seconds = 0.0
            for process in tree:
                try:
                    resident += process.memory_info().rss
                    times = process.cpu_times()
                    seconds += times.user + times.system
                except psutil.NoSuchProcess:
                    continue
            peak[0], used[0] = max(peak[0], int(resident)), max(used[0], seconds)
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main()
