"""The course: checks of exercises, your Falcon, the classroom, the doctor, the notebooks."""
