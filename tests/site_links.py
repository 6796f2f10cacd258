"""The links of a static site, and which of them lead nowhere; for `test_site.py`."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that a link may name."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        values = {name: value for name, value in attrs if value}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        for name, value in values.items():
            if (tag, name) in LOADED:
                self.loads.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)


def read_site(folder):
    """Every page of a site, by its path."""
    pages = {}
    for path in sorted(Path(folder).resolve().rglob("*.html")):
        pages[path] = Page()
        pages[path].feed(path.read_text())
    return pages


def dead_links(pages):
    """Links and files within the site that are not there, each with its page."""
    for path, page in pages.items():
        for url in page.links + page.loads:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{path.name}: {url}"
            elif parts.fragment and target in pages and is_absent(parts.fragment, pages[target]):
                yield f"{path.name}: {url} (no such place)"


def is_absent(fragment, page):
    """Whether a page has no place of this name."""
    return unquote(fragment) not in page.places


def loads_from_elsewhere(pages):
    """What the pages load from other machines."""
    for path, page in pages.items():
        for url in page.loads:
            if urlsplit(url).netloc:
                yield f"{path.name}: {url}"
