"""Does what the page does with an explorer, without a page."""


def shown(explorer):
    """What the page shows: each control by its name, the picture and what is said of it."""
    given = explorer.component.given
    controls = {control["name"]: control for control in given["controls"]}
    return {**given, "controls": controls, "picture": explorer.component.numbers}


def ask(explorer, **values):
    """Ask for values of controls; the page knows the options of one by their places."""
    component = explorer.component
    component.wanted = {**values, "number": component.wanted.get("number", 0) + 1}
    return shown(explorer)


def go(explorer, **change):
    """Do what the page does, where that draws, when somebody goes elsewhere or types."""
    explorer.component.wanted = {**explorer.component.wanted, **change}
