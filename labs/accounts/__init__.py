"""Who may do what: accounts, ways to sign in, classes. No HTTP here; the site keeps the cookie."""

from __future__ import annotations

from labs.accounts.allowances import Allowances
from labs.accounts.classes import Classes, taught
from labs.accounts.guessing import Caller, GuardedSignIn
from labs.accounts.invitations import Invitations, PlaceInfo
from labs.accounts.names import in_order, local_name
from labs.accounts.resets import Resets
from labs.accounts.rosters import teaches
from labs.accounts.service import Accounts
from labs.accounts.sign_ins import SignIns
from labs.accounts.views import Account, ClassInfo, Role

__all__ = [
    "Account",
    "Accounts",
    "Allowances",
    "Caller",
    "ClassInfo",
    "Classes",
    "GuardedSignIn",
    "Invitations",
    "PlaceInfo",
    "Resets",
    "Role",
    "SignIns",
    "in_order",
    "local_name",
    "taught",
    "teaches",
]
