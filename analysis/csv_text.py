"""CSV files as they come from people and programs, every field as text."""

from pathlib import Path

import pandas as pd

from analysis.errors import JudgmentsError


def read_csv_text(path: Path, separator: str = ",") -> pd.DataFrame:
    """Read every column as text, so that nothing is guessed; an empty field is an empty text.

    Args:
        path: UTF-8, with or without the mark that Excel begins it with.
        separator: between fields.

    Raises:
        JudgmentsError: no such file, no CSV, empty, or a line has more fields than the header.
    """
    try:
        frame = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=separator
        )
    except FileNotFoundError:
        raise JudgmentsError(f"{path}: no such file") from None
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise JudgmentsError(f"{path}: not a UTF-8 CSV file ({reason})") from None
    except pd.errors.EmptyDataError:
        raise JudgmentsError(f"{path}: the file is empty") from None
    except OSError as error:
        raise JudgmentsError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise JudgmentsError(f"{path}: lines have more fields than the header")
    return frame
