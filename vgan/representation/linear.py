"""Multinomial logistic regression on features, its penalty chosen by leaving groups out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vgan.errors import DataError
from vgan.representation.protocol import ActionData, Prediction, Task

# Strength of the fit against the penalty, for features of unit variance. Narrow networks choose
# the weak penalties at the end, wide ones those at the beginning.
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_DEFAULT = 1e-3
_FOLDS = 3


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier.

    Args:
        model: scikit-learn's.
        classes: K, of which those never seen in training have probability 0.
        parameters: numbers learnt.
    """

    model: Any
    classes: int
    parameters: int

    def probabilities(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return (N, K) of features (N, D)."""
        found = np.zeros((len(features), self.classes))
        found[:, self.model.classes_] = self.model.predict_proba(features)
        return found


def fit_logistic(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    groups: NDArray[Any],
    classes: int,
    seed: int,
    *,
    title: str = "training set",
) -> Fitted:
    """Fit logistic regression to standardised features.

    The penalty is the one that does best on groups left out, of equals the one nearest to the
    usual 1e-3. Where all windows of a class would be left out at once, with all that
    could teach it, nothing is chosen and the usual one is taken.

    Args:
        features: (N, D).
        labels: (N,), in 0..classes.
        groups: (N,), what is left out together.
        classes: K.
        seed: of the solver.
        title: what the set is called in errors.

    Raises:
        DataError: all labels are the same.
    """
    if len(np.unique(labels)) < 2:
        raise DataError(f"{title}: all training videos are of one class; there must be two or more")
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed, C=_DEFAULT)
    )
    folds = min(_FOLDS, len(np.unique(groups)))
    if folds > 1 and _every_fold_teaches_all(labels, groups, folds):
        grid = {"logisticregression__C": _from_the_default()}  # the first of equals is taken
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(folds), scoring="accuracy")
        model = search.fit(features, labels, groups=groups).best_estimator_
    else:
        model = pipeline.fit(features, labels)
    last = model[-1]
    return Fitted(model, classes, int(last.coef_.size + last.intercept_.size))


def regressed_prediction(
    features: NDArray[Any], data: ActionData, task: Task, learnt_before: int
) -> Prediction:
    """Fit the regression to a task's labelled windows; return its answers for the test windows.

    Args:
        features: (windows, D), of all windows.
        data: whose windows.
        task: which of them, and the seed.
        learnt_before: numbers learnt by the network that the features are of.
    """
    windows = data.windows
    learnt, tested = windows.of(task.train), windows.of(task.test)
    groups = np.asarray([data.actions.videos[v].group for v in windows.owner[learnt]])
    fitted = fit_logistic(
        features[learnt], data.labels[windows.owner[learnt]], groups, len(data.classes), task.seed,
        title=f"split {task.split}",
    )  # fmt: skip
    size = fitted.parameters + learnt_before
    return Prediction(fitted.probabilities(features[tested]), data.test_owner(task), size)


def _from_the_default() -> list[float]:
    """Return the penalties, nearest to the usual one first; of two as near the stronger."""
    usual = PENALTIES.index(_DEFAULT)
    return sorted(PENALTIES, key=lambda value: abs(PENALTIES.index(value) - usual))


def _every_fold_teaches_all(labels: NDArray[np.int64], groups: NDArray[Any], folds: int) -> bool:
    """Tell whether what remains in every fold has all the classes."""
    parts = GroupKFold(folds).split(labels, labels, groups)
    classes = len(np.unique(labels))
    return all(len(np.unique(labels[kept])) == classes for kept, _ in parts)
