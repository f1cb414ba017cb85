"""The Python that the data dictionary shows gives what Table 1 prints."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.load import load_judgments
from analysis.table import build_table

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_pandas_gives_the_percentages_of_table_1(judgments_text, tmp_path, monkeypatch):
    frame = judgments_text(per_cell=30)
    frame["category"] = frame["category"].replace("golf", "null")
    frame.loc[::7, ["choice", "label"]] = ["tie", ""]
    gold, late = frame.iloc[:9].copy(), frame.iloc[:9].copy()
    gold["trial_kind"], gold["trial"] = "gold", "g" + gold["trial"]
    late["counted"], late["assignment"] = "false", "late"
    pd.concat([frame, gold, late]).to_csv(tmp_path / "judgments.csv", index=False)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)

    names: dict[str, pd.DataFrame] = {}
    exec(block, names)

    for row in build_table(load_judgments(file=Path("judgments.csv"))).rows:
        shown = names["table"].loc["realism", row.comparison.source_a, row.comparison.source_b]
        assert shown["Mean"] == pytest.approx(row.mean.percent)
        for category, cell in row.cells.items():
            assert shown[category] == pytest.approx(cell.percent)
