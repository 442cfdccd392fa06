"""Which program this is: its git commit, where it runs from a repository."""

import subprocess
from pathlib import Path


def commit() -> str:
    """Return the commit that this program was checked out from, with "+changes" if it was changed; "" if unknown."""
    package = Path(__file__).parent.parent
    # a repository around an installed copy is another program's
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return ""
    head = _git(package, "rev-parse", "HEAD") or ""
    return head + ("+changes" if head and _git(package, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None  # no git here
    return done.stdout.strip() if done.returncode == 0 else None
