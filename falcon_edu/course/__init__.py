"""The course: checks of exercises, the classroom, the doctor, the notebooks."""
