"""`python -m falcon_edu.presets list` and `... info <preset>`: what there is, without loading."""

import argparse
import sys

from falcon_edu.presets import describe_preset
from falcon_edu.presets.info import table


def main(arguments=None):
    """Run the command line; the exit status is 1 where a preset can't be read."""
    parser = argparse.ArgumentParser(prog="python -m falcon_edu.presets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the built-in presets")
    info = commands.add_parser("info", help="what a preset holds")
    info.add_argument("preset", help="a built-in id, hf://..., kaggle://..., or a folder")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        print("\n".join(table()))
        return 0
    try:
        found = describe_preset(chosen.preset)
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{what:13} {text}" for what, text in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
