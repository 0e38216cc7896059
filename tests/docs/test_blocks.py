"""What the documents show is run as it stands there, or says in its source why it cannot be.

A comment before a block of Python speaks to these tests, and is not seen by readers:
``<!-- given: CODE -->`` is run first, ``<!-- not run: REASON -->`` keeps a block from being run; it still has to
compile. The blocks of a page share their names.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from anifacediff.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
]
RUN_ELSEWHERE = {"README.md": "tests/test_documents.py", "docs/plugins.md": "tests/testing/test_plugin_guide.py"}
BLOCK = re.compile(r"(?:<!-- (given|not run):\s((?:(?!-->).)*)-->\n+)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with what the comment before it says, if there is one."""

    remark: str
    told: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall((ROOT / page).read_text())]


def shell_lines(page: str) -> list[str]:
    """The commands of this program that a page shows, each in one line."""
    texts = [block.text.replace("\\\n", " ") for block in blocks(page) if block.language in ("", "bash", "sh", "shell")]
    lines = [line for text in texts for line in text.splitlines()]
    inline = re.findall(r"`(anifacediff [^`]+)`", (ROOT / page).read_text().replace("\n", " "))
    shown = [
        line[line.index("anifacediff ") :]
        for line in lines
        if re.match(r"(\S+ -m |accelerate .*-m )?anifacediff ", line)
    ]
    return [re.split(r"\s{2,}| #", line)[0] for line in (*shown, *inline)]


PYTHON = [page for page in PAGES if page not in RUN_ELSEWHERE and any(b.language == "python" for b in blocks(page))]


@pytest.mark.parametrize("page", PYTHON)
@pytest.mark.filterwarnings("ignore::anifacediff.assemblies.exchange.UntrainedWarning")
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page}
    for number, block in enumerate(block for block in blocks(page) if block.language == "python"):
        code = compile(block.text, f"{page}, block {number}", "exec")
        if block.remark == "not run":
            assert len(block.told.split()) >= 2, "the comment gives a reason"
            continue
        if block.remark == "given":
            exec(compile(block.told, f"{page}, given for block {number}", "exec"), names)
        exec(code, names)


COMMANDS = sorted({line for page in PAGES for line in shell_lines(page)})


def test_the_documents_show_commands() -> None:
    assert len(COMMANDS) > 15
    assert any(line.startswith("anifacediff animate") for line in COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_has_the_options_that_are_shown(line: str) -> None:
    words = [word for word in shlex.split(line)[1:] if word != "..."]
    command, name = typer.main.get_command(app), "anifacediff"
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command, name = command.commands[words[0]], f"{name} {words.pop(0)}"
    # As the command would read them, without asking for what an example leaves out.
    _, rest, _ = command.make_parser(typer.Context(command)).parse_args(words)
    assert rest == [], f"{name}: takes no {rest}"
