"""Write the tables of BENCHMARKS.md and docs/papers.md from the files in benchmarks/results.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``, and is made of the file
``benchmarks/results/NAME.json``:

    command   list of str, the commands that give the figures
    commit    the commit of the code that gave them, or "not recorded"
    machine   processor, memory, GPU, versions
    threads   a number, or a list of numbers where the rows differ
    date      of the measurement, YYYY-MM-DD
    note      what is measured, in full sentences
    columns   heading of each column, and the format of its numbers (Python's, "" for as they are)
    rows      list of rows; a cell is a text, a number, null, [low, high], or a list of numbers

    python benchmarks/tables.py
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = (ROOT / "BENCHMARKS.md", ROOT / "docs" / "papers.md")
FIELDS = ("command", "commit", "machine", "threads", "date", "note", "columns", "rows")
BLOCK = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def main() -> None:
    """Replace the tables of the documents."""
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    for path, text in with_tables(texts, read_results()).items():
        path.write_text(text, encoding="utf-8")


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The content of every file of results, by its name without ``.json``.

    Raises:
        ValueError: a file has not exactly the fields of :data:`FIELDS`, or a row has not one cell
            per column.
    """
    results = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if set(content) != set(FIELDS):
            raise ValueError(f"{path.name}: the fields are {', '.join(FIELDS)}")
        for row in content["rows"]:
            if len(row) != len(content["columns"]):
                raise ValueError(f"{path.name}: the row {row} has not one cell per column")
        results[path.stem] = content
    return results


def with_tables(texts: dict[Path, str], results: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """The documents with the content of every table replaced.

    Raises:
        ValueError: a table has no file of results, or the tables are not those of the files.
    """
    named = [name for text in texts.values() for name in BLOCK.findall(text)]
    if sorted(named) != sorted(results):
        raise ValueError(
            f"the documents have the tables {sorted(named)}, the results are {sorted(results)}"
        )

    def replaced(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{table(results[found[1]])}<!-- end -->"

    return {path: BLOCK.sub(replaced, text) for path, text in texts.items()}


def table(result: dict[str, Any]) -> str:
    """One table in Markdown, and below it how the figures were made."""
    columns = result["columns"]
    lines = [_line(heading.strip() for heading in columns), "|---" * len(columns) + "|"]
    for row in result["rows"]:
        lines.append(_line(map(cell, row, columns.values())))
    threads = result["threads"]
    threads = threads if isinstance(threads, list) else [threads]
    counted = " and ".join(map(str, threads)) + (" thread" if threads == [1] else " threads")
    made = f"{result['date']}, commit {result['commit']}, {counted}, {result['machine']}."
    commands = " and ".join(f"`{command}`" for command in result["command"])
    return "\n".join([*lines, "", f"{result['note']} {commands}. {made}", ""])


def cell(value: Any, form: str) -> str:
    """One value as text: ``None`` is empty, ``[low, high]`` is "low to high"."""
    if value is None:
        return ""
    if isinstance(value, list):
        return (" to " if len(value) == 2 else " / ").join(cell(part, form) for part in value)
    if isinstance(value, str):
        return value
    return f"{value:{form or (',' if isinstance(value, int) else '')}}"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
