"""Run a submission to its end, whatever its cells do: loop for ever, eat the memory, kill."""

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import v4
from nbgrader.preprocessors import Execute
from traitlets import Integer


class PatientExecute(Execute):
    """nbgrader's runner, for code that may end its kernel.

    nbgrader interrupts a cell that takes too long, and goes on with the next. But where a kernel
    dies or does not let itself be interrupted, it drops the whole submission without a score. Here
    such a cell counts as failed: the others run again in a new kernel, without it.

    The settings of nbgrader's `Execute`, such as `c.Execute.timeout`, hold here too.
    """

    memory = Integer(4000, help="Megabytes that a student's kernel may take.").tag(config=True)
    restarts = Integer(4, help="New kernels for one submission, before the rest fails.").tag(
        config=True
    )

    def preprocess(self, nb, resources, km=None):
        """Runs all cells that a kernel survives, and notes an error in the others."""
        self.limit_kernels()
        self.deadly = {}  # what became of the kernel in a cell, by the cell's index
        while True:
            try:
                return super().preprocess(nb, resources, km)
            except (CellTimeoutError, DeadKernelError) as error:
                self.deadly[self.index] = reason(error)
                self.log.warning("Cell %s: %s", self.index, self.deadly[self.index])

    def preprocess_cell(self, cell, resources, index):
        """Runs a cell, unless it was the end of a kernel before."""
        if cell.cell_type != "code":
            return cell, resources
        if index in self.deadly:
            return failed(cell, self.deadly[index]), resources
        if len(self.deadly) > self.restarts and index > max(self.deadly):
            return failed(cell, "Not run: too many cells before it ended the kernel."), resources
        self.index = index
        return super().preprocess_cell(cell, resources, index)

    def limit_kernels(self):
        """Lets every kernel begin by limiting its own memory."""
        line = (
            f"__import__('falcon_edu.classroom.limits', fromlist=['_']).limit_memory({self.memory})"
        )
        self.extra_arguments = [f"--IPKernelApp.exec_lines={line}"]


def reason(error: Exception) -> str:
    """What ended a kernel, in words to the student."""
    if isinstance(error, DeadKernelError):
        return "The kernel died in this cell. Does your code take too much memory?"
    return "This cell took too long, and could not be stopped. Does your code loop for ever?"


def failed(cell, message: str):
    """The cell with an error as its only output: nbgrader gives it no points."""
    cell.outputs = [v4.new_output("error", ename="Failed", evalue=message, traceback=[message])]
    cell.execution_count = None
    return cell
