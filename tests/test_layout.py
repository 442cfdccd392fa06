"""What holds for the repository as a whole."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import omokage
from omokage.cli.main import VERBS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "platform"


def test_the_source_root_is_no_package():
    assert not (SOURCE / "__init__.py").exists()
    code = "import platform, sys; assert sys.path[0] == sys.argv[1]; print(platform.__file__, platform.system())"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}"]
    for root in (ROOT, SOURCE):
        done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=True, cwd=ROOT)
        file, system = done.stdout.split()
        assert system == "Linux"
        assert not Path(file).is_relative_to(ROOT / "platform")


def test_a_report_that_nobody_reads_to_the_end_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "omokage", "weights", "list"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_package_says_what_it_knows():
    for folder in [SOURCE / "omokage", *(d for d in (SOURCE / "omokage").rglob("*") if any(d.glob("*.py")))]:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_there_is_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == omokage.__version__


def fields_without_a_text(file: Path) -> list[str]:
    """Return the fields of config dataclasses that no string follows; a nested config is described by its class."""
    bare = []
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ClassDef) or not node.name.endswith(("Config", "Spec")):
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            nested = isinstance(field, ast.AnnAssign) and ast.unparse(field.annotation).endswith(("Config", "Spec"))
            if isinstance(field, ast.AnnAssign) and not described and not nested:
                bare.append(f"{file.name}: {node.name}.{ast.unparse(field.target)}")
    return bare


def test_every_setting_is_described():
    assert [bare for file in SOURCE.rglob("*.py") for bare in fields_without_a_text(file)] == []


TITLES = ("arguments", "options")


def helped(text: str) -> dict[str, str]:
    """Return what a verb's help says of each of its arguments."""
    said: dict[str, str] = {}
    positional, last = False, ""
    for line in text.translate(dict.fromkeys(map(ord, "│╭╮╰╯"), " ")).splitlines():
        indent = len(line) - len(line.lstrip())
        if re.fullmatch(r"[ ─-]*[\w. ]+[ ─-]*", line) and indent < 4 and line.rstrip(" ─").endswith(TITLES):
            positional, last = "positional" in line, ""
        elif indent == 2 and (positional or line.startswith("  -")) and not re.fullmatch("[ ─-]*", line):
            last, _, words = line.strip().partition("  ")
            said[last] = words.strip()
        elif indent > 2 and last:
            said[last] += line.strip()
    return {name: re.sub(r"\((default: .*|required|optional)\)$", "", words).strip() for name, words in said.items()}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_every_argument_has_help(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # wider, tyro lays groups of options side by side
    assert VERBS[verb].__doc__
    with pytest.raises(SystemExit) as done:
        VERBS[verb](["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    said = helped(text)
    assert {"-h, --help", "--json"} <= set(said)
    assert len(said) == len(re.findall(r"\(default:[\s│]", text)) + len(re.findall(r"\(required\)", text)) + 1
    assert [name for name, words in said.items() if not words] == []
