"""What every model has around it: checked inputs, datasets, steps, state, export."""
