"""`python -m falcon_edu`: is this machine ready, where are the notebooks, what have we done?"""

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
    mine = commands.add_parser("my-falcon", help="say which parts of my_falcon.py are yours")
    mine.add_argument("--start", action="store_true", help="make my_falcon.py, if it is not there")
    mine.add_argument("folder", nargs="?", default=".", help="where my_falcon.py is")
    guessed = commands.add_parser("predictions", help="draw what a class predicted, as a page")
    guessed.add_argument("folder", help="a folder with one for each student, with predictions.json")
    guessed.add_argument("--page", default="predictions.html", help="where to; predictions.html")
    chosen = parser.parse_args(arguments)
    if chosen.command == "doctor":
        return doctor.main()
    if chosen.command == "my-falcon":
        from falcon_edu.course import your_falcon  # the doctor must not need Keras

        return your_falcon.main(chosen.folder, chosen.start)
    if chosen.command == "predictions":
        from falcon_edu.course.predictions import of_class

        return of_class.main(chosen.folder, chosen.page)
    return notebooks.main(chosen.folder)


if __name__ == "__main__":
    sys.exit(main())
