"""How people answered: who is left after each rule, sides, speed, gold, repeats."""

from collections.abc import Sequence

import pandas as pd

from analysis.exclusions import Rule, exclude, repeat_agreement


def funnel_steps(judgments: pd.DataFrame, rules: Sequence[Rule]) -> list[tuple[str, int]]:
    """Return how many workers have test judgments that count, and how many each rule leaves."""

    def left(frame: pd.DataFrame) -> int:
        return int(frame.loc[frame["trial_kind"] == "test", "worker"].nunique())

    judgments = judgments[judgments["counted"]]
    steps = [("gave any judgment", int(judgments["worker"].nunique()))]
    steps.append(("gave test judgments", left(judgments)))
    for i in range(1, len(rules) + 1):
        kept, _ = exclude(judgments, rules[:i])
        steps.append((f"after {rules[i - 1].text}", left(kept)))
    return steps


def quality(judgments: pd.DataFrame) -> list[str]:
    """Say in sentences how people answered, where it counts: sides, speed, gold, repeats."""
    judgments = judgments[judgments["counted"]]
    out = []
    sided = judgments[judgments["choice"] != "tie"]
    if len(sided):
        out.append(f"{100 * (sided['choice'] == 'left').mean():.1f} % of the answers were left.")
    seconds = judgments["rt_ms"].dropna() / 1000
    if len(seconds):
        quarter, middle, three = seconds.quantile([0.25, 0.5, 0.75])
        out.append(f"Median answer after {middle:.1f} s (quartiles {quarter:.1f} and {three:.1f}).")
    fast = judgments["loops"] < 1
    if fast.any():
        out.append(f"{int(fast.sum()):,} answers came before the clips had run once.")
    gold = judgments[(judgments["trial_kind"] == "gold") & (judgments["correct_choice"] != "")]
    if len(gold):
        right = (gold["choice"] == gold["correct_choice"]).mean()
        out.append(f"{100 * right:.1f} % of {len(gold):,} answers to gold trials were right.")
    repeats = repeat_agreement(judgments)
    if len(repeats):
        same = 100 * repeats["same"].mean()
        out.append(f"{same:.1f} % of {len(repeats):,} repeated pairs got the same answer.")
    same_clip = judgments[(judgments["trial_kind"] == "identical") & (judgments["choice"] != "tie")]
    if len(same_clip):
        left = 100 * (same_clip["choice"] == "left").mean()
        out.append(f"Of {len(same_clip):,} pairs of identical clips, {left:.1f} % went left.")
    return out
