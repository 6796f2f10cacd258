"""Runs ours and the peers, interleaved, each measurement in a process of its own; prints a table.

    make benchmark                        # everything; takes most of an hour
    python -m benchmarks --quick          # the small models, under two minutes
    python -m benchmarks --only decode    # the rows whose name begins so
    python -m benchmarks --write          # also write benchmarks/RESULTS.md and results.json
    python -m benchmarks --add            # write, with the runs that results.json has already

Needs the `peers` environment. Nothing else should run on the machine meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from benchmarks import rows
from benchmarks.checkpoints import make

from tqdm.auto import tqdm

HERE = Path(__file__).resolve().parent
CHECKPOINTS = HERE.parent / "build" / "benchmarks"


def measure(run, folders, device):
    """One run of one side of a row, in a fresh process: `{"value": ..., "peak": ...}`."""
    task = dict(run)
    if size := task.pop("size", None):
        task["folder"] = str(folders[size][task.pop("format", "transformers")])
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "jax", "HF_HUB_OFFLINE": "1"}
    if device == "cpu":
        quiet["JAX_PLATFORMS"] = "cpu"
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(task)]
    result = subprocess.run(
        command, env={**os.environ, **quiet}, cwd=HERE.parent, capture_output=True, text=True
    )
    if result.returncode:
        sys.exit(f"{task} failed:\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def measured(row, folders, repeats, bar):
    """Every side of a row, several times, one after the other: `{side: [measurements]}`."""
    sides = {"ours": row.ours, **row.peers}
    results: dict[str, list] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, run in sides.items():
            bar.set_description(f"{row.name}: {side}")
            results[side].append(measure(run, folders, row.device))
            bar.update()
    return results


def machine():
    """Measure the machine's own ceilings, and note the versions."""
    command = [sys.executable, "-m", "benchmarks.machine"]
    result = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models, one run each")
    parser.add_argument("--only", default="", help="beginning of the names of rows to run")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and results.json")
    parser.add_argument("--add", action="store_true", help="write, beside the runs there are")
    arguments = parser.parse_args()
    chosen = [row for row in rows.ROWS if row.name.startswith(arguments.only)]
    if arguments.quick:
        chosen, arguments.repeats = [row for row in chosen if row.is_quick], 1
    about = machine()
    if not about["gpu"]:
        chosen = [row for row in chosen if row.device == "cpu"]
    sizes = {run["size"] for row in chosen for run in row.runs() if "size" in run}
    print(f"Checkpoints: {', '.join(sorted(sizes)) or 'none needed'}", flush=True)
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    folders = {size: make(size, CHECKPOINTS) for size in sorted(sizes)}
    results = {}
    total = arguments.repeats * sum(len(row.peers) + 1 for row in chosen)
    with tqdm(total=total, mininterval=5) as bar:
        for row in chosen:
            results[row.name] = measured(row, folders, arguments.repeats, bar)
    content = {"date": date.today().isoformat(), "machine": about, "results": results}
    if arguments.add:
        content = together(json.loads((HERE / "results.json").read_text()), content)
        chosen = [row for row in rows.ROWS if row.name in content["results"]]
    text = rows.table(chosen, content["results"], about, content["date"])
    print(text)
    if arguments.write or arguments.add:
        (HERE / "RESULTS.md").write_text(text)
        (HERE / "results.json").write_text(json.dumps(rounded(content), indent=1) + "\n")


def together(earlier, content):
    """Join the runs of two contents of `results.json`.

    Args:
        earlier, content: both `{"date", "machine", "results"}`; of the first, only results stay.

    Returns:
        A content.

    Raises:
        SystemExit: they are from different machines or versions, and can't be compared.
    """
    for key in ("cores", "versions"):
        if earlier["machine"][key] != content["machine"][key]:
            sys.exit(f"results.json is of other {key}: {earlier['machine'][key]}; use --write.")
    results = {name: dict(sides) for name, sides in earlier["results"].items()}
    for name, sides in content["results"].items():
        before = results.get(name, {})
        results[name] = {side: [*before.get(side, []), *runs] for side, runs in sides.items()}
    return {**content, "results": results}


def rounded(value):
    """Round floats anywhere inside to what is meaningful."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
