"""What every model has around it: checked inputs, datasets, steps, state, export."""

import falcon_edu.model  # noqa: F401 (it takes its base classes from here: whichever is asked first)
