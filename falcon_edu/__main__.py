"""`python -m falcon_edu`: is this machine ready, and where are the notebooks?"""

import argparse
import sys

from falcon_edu.course import doctor, notebooks


def main(arguments=None):
    """Run a command; the exit status is 1 where the machine is not ready, or copying failed."""
    parser = argparse.ArgumentParser(prog="python -m falcon_edu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say whether this machine is ready, and what to do if not")
    copy = commands.add_parser("notebooks", help="copy the course, without overwriting your work")
    copy.add_argument("folder", help="where to; it is made if need be")
    chosen = parser.parse_args(arguments)
    if chosen.command == "doctor":
        return doctor.main()
    return notebooks.main(chosen.folder)


if __name__ == "__main__":
    sys.exit(main())
