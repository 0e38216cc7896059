"""Hooks of mkdocs: files of the repository that pages link to, and the reference of every command and package."""

import ast
import re
import subprocess
import sys
from os.path import relpath
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "anifacediff"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CARD = PACKAGE / "weights/nano/README.md"
PLACES = {CONTRIBUTING: "contributing.md", CARD: "nano.md"}
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".ipynb": "json"}
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
ROLE = re.compile(r":(?:class|func|meth|data|mod|attr|exc):<code>~?([\w.]+)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside of docs/, and a page for each package."""
    waiting = [CONTRIBUTING, *(DOCS / file.src_uri for file in files.documentation_pages())]
    files.append(File.generated(config, place_of(CONTRIBUTING), content=shown(CONTRIBUTING)))
    while waiting:
        for target in linked(waiting.pop()):
            if files.get_file_from_path(place_of(target)) is None:
                files.append(File.generated(config, place_of(target), content=shown(target)))
                waiting.append(target)
    files.append(File.generated(config, "api/command-line.md", content=commands()))
    for package in packages():
        files.append(File.generated(config, f"api/{package.name}.md", content=reference(package)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links at where the site has what they name in the repository."""
    source = source_of(page.file.src_uri)
    if source is None:
        return markdown
    here = Path(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        target = (source.parent / link[2]).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            return link[0]
        return f"{link[1]}{relpath(place_of(target), here)}{link[3]}"

    return LINK.sub(moved, markdown)


def on_page_content(html: str, **_: object) -> str:
    """Make links of what docstrings name in the way of Sphinx."""
    return ROLE.sub(lambda role: f'<autoref identifier="{role[1]}" optional>{code(role[1])}</autoref>', html)


def code(path: str) -> str:
    """The last part of a dotted name."""
    return f"<code>{path.rpartition('.')[2]}</code>"


def linked(source: Path) -> list[Path]:
    """The files of the repository, outside of docs/, to which a page links."""
    if source.suffix != ".md":
        return []
    found = [(source.parent / link[2]).resolve() for link in LINK.finditer(source.read_text())]
    return [each for each in found if each.exists() and each.is_relative_to(ROOT) and not each.is_relative_to(DOCS)]


def place_of(target: Path) -> str:
    """Where the site has a file or folder of the repository."""
    if target.is_relative_to(DOCS):
        return str(target.relative_to(DOCS))
    if target in PLACES:
        return PLACES[target]
    name = target.relative_to(ROOT)
    return f"source/{name}" if target.suffix == ".md" else f"source/{name}.md"


def source_of(place: str) -> Path | None:
    """The file of the repository that a page shows; None if it is made here."""
    if place == PLACES[CONTRIBUTING]:
        return CONTRIBUTING
    path = ROOT / place.removeprefix("source/") if place.startswith("source/") else DOCS / place
    return path if path.is_file() else None


def shown(target: Path) -> str:
    """A file as a page: text as it is, code as code, a folder as the list of what is in it."""
    if target.is_dir():
        names = sorted(each.name for each in target.iterdir() if not each.name.startswith((".", "__")))
        return f"# {target.relative_to(ROOT)}\n\n" + "\n".join(f"- `{name}`" for name in names)
    text = target.read_text()
    if target.suffix == ".md":
        return text
    return f"# {target.relative_to(ROOT)}\n\n````{LANGUAGES.get(target.suffix, 'text')}\n{text}\n````\n"


def commands() -> str:
    """The help of every command."""
    command = [sys.executable, "-m", "typer", "anifacediff.cli", "utils", "docs", "--name", "anifacediff"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    told = re.sub(r"\[bold\](.*?)\[/bold\]", r"**\1**", told)
    told = re.sub(r"^\**(anifacediff .*?)\**$", r"`\1`", told, flags=re.MULTILINE)
    return "# Command line\n" + told.partition("\n")[2]


def packages() -> list[Path]:
    """The packages whose names are public."""
    return [path.parent for path in sorted(PACKAGE.glob("*/__init__.py")) if public_names(path)]


def reference(package: Path) -> str:
    """The page of a package: what it is for, and each of its public names."""
    about = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    names = "\n\n".join(f"::: {name}" for name in public_names(package / "__init__.py"))
    return f"# anifacediff.{package.name}\n\n{about}\n\n{names}\n"


def public_names(init: Path) -> list[str]:
    """What the package offers lazily, with the modules where it stands."""
    blocks = [node for node in ast.parse(init.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
