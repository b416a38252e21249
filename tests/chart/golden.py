"""Write what each of `charts/tenantry/ci/*.yaml` renders to `golden/`, for people to read what a change of the chart changes."""

from __future__ import annotations

from pathlib import Path

import chart

GOLDEN = Path(__file__).with_name("golden")
REFRESH = ".cache/venv/bin/python tests/chart/golden.py"


def expected(case: Path) -> Path:
    return GOLDEN / case.name


def of(case: Path) -> str:
    """What a set of values renders. Of the definitions and the dashboard only what the chart adds: the rest is in files of its own."""
    documents = []
    for document in chart.text(case).split("\n---\n"):
        if "\nkind: CustomResourceDefinition\n" in document:
            document = document.split("\nspec:\n")[0] + "\n# spec: as in crds/"
        document, dashboard, _ = document.partition("\n  tenantry.json: |-\n")
        document += f"{dashboard}    # as in dashboards/" if dashboard else ""
        documents.append(document.strip("\n"))
    return "\n---\n".join(documents).strip("-\n") + "\n"


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for stray in set(GOLDEN.glob("*.yaml")) - {expected(case) for case in chart.CASES}:
        stray.unlink()
    for case in chart.CASES:
        expected(case).write_text(of(case))


if __name__ == "__main__":
    main()
