"""Requesters' accounts and their books. Nothing is paid out: the service says what is owed."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from evaluation.sandbox.errors import insufficient_funds
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import Account, Assignment, Entry, EntryKind, Unit


def open_account(unit: Unit, access_key: str) -> Account:
    """Return the account of an access key id; the first call opens it with the set balance."""
    account = unit.session.scalar(select(Account).where(Account.access_key == access_key))
    if account is None:
        cents = unit.service.opening_balance_cents
        account = Account(
            access_key=access_key, balance_cents=cents, held_cents=0, created_at=unit.now
        )
        unit.session.add(account)
        unit.session.flush()
        unit.session.add(
            Entry(account_id=account.id, kind=EntryKind.DEPOSIT, cents=cents, at=unit.now)
        )
    return account


def available_cents(account: Account) -> int:
    """What the account can still spend."""
    return account.balance_cents - account.held_cents


def require_funds(account: Account, cents: int) -> None:
    """Raise when the account cannot cover `cents`.

    Raises:
        ApiError: InsufficientFunds.
    """
    if cents > available_cents(account):
        raise insufficient_funds(cents, available_cents(account))


def pay(
    unit: Unit,
    assignment: Assignment,
    kind: EntryKind,
    cents: int,
    fee_cents: int,
    at: datetime,
) -> None:
    """Write a payment to the assignment's worker and its fee into the books."""
    account = assignment.hit.account
    account.balance_cents -= cents + fee_cents
    for entry_kind, amount in ((kind, cents), (EntryKind.FEE, fee_cents)):
        unit.session.add(
            Entry(
                account_id=account.id,
                worker_id=None if entry_kind is EntryKind.FEE else assignment.worker_id,
                assignment_id=assignment.id,
                kind=entry_kind,
                cents=-amount,
                at=at,
            )
        )


def cents_of(amount: str) -> int:
    """Return a CurrencyAmount in cents; its pattern was checked by the model."""
    return int(Decimal(amount) * 100)


def dollars(cents: int) -> str:
    """Return cents as a CurrencyAmount."""
    return f"{cents // 100}.{cents % 100:02d}"


@operation(
    "GetAccountBalance",
    note="Each access key id is an account of its own and starts with the set balance "
    "(10,000.00). What open HITs may still cost is on hold.",
)
def get_account_balance(call: Call) -> dict[str, Any]:
    """Report what can be spent and what is held for open HITs."""
    return {
        "AvailableBalance": dollars(available_cents(call.account)),
        "OnHoldBalance": dollars(call.account.held_cents),
    }
