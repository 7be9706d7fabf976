"""Signing in, with limits on guessing that keep no owner out.

Only what was wrong counts. From a browser in which the account signed in before, its guesses count for that browser
alone; from elsewhere, for this account at this address and for the address. So a stranger uses up what strangers have,
and an address that a whole class shares has enough for a class that mistypes.
"""

from __future__ import annotations

from dataclasses import dataclass

from labs.accounts.allowances import Allowances, Limit, Use, network_of
from labs.accounts.names import key_of
from labs.accounts.service import Accounts
from labs.accounts.views import Account

TOO_MANY_HERE = "There were too many wrong passwords for this account from here."
AT_HOME = Limit(10, 30.0, "There were too many wrong passwords in this browser.")
OF_ACCOUNT_FROM_ADDRESS = Limit(10, 60.0, TOO_MANY_HERE)
OF_ADDRESS = Limit(600, 0.5, "There were too many wrong passwords from this network.")
LINKS_OF_ADDRESS = Limit(300, 1.0, "There were too many links from this network that do not work.")
NEW_ACCOUNTS_OF_ADDRESS = Limit(300, 2.0, "Too many accounts were made from this network.")
CODES_OF_ACCOUNT = Limit(20, 3.0, "You tried too many join codes.")
MAILS_OF_ADDRESS = Limit(60, 20.0, "Too many links were asked for from this network.")
MAILS_OF_ACCOUNT = Limit(3, 1200.0, "Links were mailed already; look into the mailbox, also among the unwanted ones.")
OLD_PASSWORD = Limit(10, 60.0, "There were too many wrong passwords.")


@dataclass(frozen=True)
class Caller:
    """Who tries: an address, and the browser's name with the accounts that signed in there before."""

    address: str | None = None
    device: str = ""
    accounts: tuple[int, ...] = ()


@dataclass(frozen=True)
class GuardedSignIn:
    """Accounts' ways to sign in, behind limits. ``Refused`` as theirs; ``TooMany`` says when to try again."""

    accounts: Accounts
    allowances: Allowances

    def by_password(self, name: str, password: str, caller: Caller) -> Account:
        """Sign in, or count a wrong guess. It is counted first, so that many at once are not more than allowed."""
        uses = self._uses(name, caller)
        self.allowances.take(*uses)
        account = self.accounts.sign_in(name, password)
        self.allowances.give_back(*uses)
        return account

    def by_link(self, token: str, caller: Caller) -> Account:
        """Use a link, or count a wrong one."""
        use = (f"links {network_of(caller.address)}", LINKS_OF_ADDRESS)
        self.allowances.take(use)
        account = self.accounts.redeem(token)
        self.allowances.give_back(use)
        return account

    def confirm(self, account: Account, password: str) -> None:
        """That whoever is signed in knows the password, before it is changed."""
        use = (f"old password {account.id}", OLD_PASSWORD)
        self.allowances.take(use)
        self.accounts.sign_in(account.name, password)
        self.allowances.give_back(use)

    def _uses(self, name: str, caller: Caller) -> list[Use]:
        account = self.accounts.find(name)
        if account is not None and caller.device and account.id in caller.accounts:
            return [(f"device {caller.device} {account.id}", AT_HOME)]
        network, whose = network_of(caller.address), str(account.id) if account else key_of(name[:320])
        return [(f"guess {network} {whose}", OF_ACCOUNT_FROM_ADDRESS), (f"guesses {network}", OF_ADDRESS)]
