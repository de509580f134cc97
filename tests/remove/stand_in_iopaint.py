"""A program that is called like IOPaint and behaves as its first argument says; run by `test_iopaint`.

It fills with (10, 20, 30) all over, so that a test sees what is taken of it. Before its own arguments stands
its behaviour, and after that a file into which it writes a line for every start. A crop whose first pixel is
pure red is the one that a bad behaviour is about.
"""

import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

SLEEPER = "import sys, time; sys.stdout.write('child'); sys.stdout.flush(); time.sleep(600)"


def main() -> None:
    behaviour, diary = sys.argv[1], Path(sys.argv[2])
    assert sys.argv[3] == "run"
    given = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[4:])
    images = list(Path(given["image"]).glob("*.*"))  # IOPaint's own order: as the folder is listed
    with diary.open("a", encoding="utf-8") as file:
        file.write(f"{len(images)} {given['model']} {given['device']} {Path(given['image']).parent}\n")
    if behaviour == "wrong-usage":
        sys.exit("Error: No such option: --model") if not given else sys.exit(2)
    if behaviour == "talks":
        sys.stderr.write("noise " * 200_000)
    if behaviour in ("grandchild-hang", "grandchild-left"):
        child = subprocess.Popen([sys.executable, "-c", SLEEPER])
        diary.with_suffix(".pid").write_text(str(child.pid), encoding="utf-8")
    if behaviour == "grandchild-hang":
        time.sleep(600)
    for path in images:
        fill(path, Path(given["mask"]) / path.name, Path(given["output"]) / path.name, behaviour)


def fill(image: Path, mask: Path, output: Path, behaviour: str) -> None:
    picture = Image.open(image).convert("RGB")
    assert Image.open(mask).size == picture.size
    size = picture.size
    if picture.getpixel((0, 0)) == (255, 0, 0):
        if behaviour == "hangs":
            time.sleep(600)
        if behaviour == "crashes":
            raise ValueError("this picture is too much")
        if behaviour == "skips":
            return
        if behaviour == "wrong-size":
            size = (size[0] + 8, size[1])
        if behaviour == "cuts":
            Image.new("RGB", size, (10, 20, 30)).save(output)
            output.write_bytes(output.read_bytes()[:-6])
            return
    Image.new("RGB", size, (10, 20, 30)).save(output)


if __name__ == "__main__":
    main()
