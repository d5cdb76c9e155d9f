"""What mail says: short, plain, and the token on a line of its own, for those whose link does not open.

Every text is here, so that a language is one more module like this one.
"""

from typing import Final

from infra.mail.mailer import Letter

SIGNATURE: Final = "\n\n-- \nPlayhead\n"


def registration(to: str, link_base: str, token: str) -> Letter:
    """Somebody registers; following the link and giving the password begins the account."""
    return _letter(
        to,
        "Confirm your address",
        "Somebody, you we hope, registers at Playhead with this address. To begin, follow the link and enter the "
        f"password that you chose:\n\n{_link(link_base, 'confirm-registration', token)}\n\n"
        "If it was not you, do nothing: without that password nobody gets any further.",
    )


def already_registered(to: str, link_base: str) -> Letter:
    """Somebody registers with an address that has an account."""
    return _letter(
        to,
        "You have an account",
        "Somebody, you we hope, tried to register at Playhead with this address. It has an account already: sign in. "
        f"If you do not know the password any more, ask for another one:\n\n{link_base}/reset-password\n\n"
        "If it was not you, there is nothing to do: nothing was changed.",
    )


def password_reset(to: str, link_base: str, token: str) -> Letter:
    """Somebody forgot the password."""
    return _letter(
        to,
        "Choose another password",
        "Somebody, you we hope, forgot the password of your account at Playhead. To choose another one, follow the "
        f"link:\n\n{_link(link_base, 'reset-password', token)}\n\n"
        "If it was not you, do nothing: the password stays what it is.",
    )


def email_change(to: str, link_base: str, token: str) -> Letter:
    """An account is to have this address from now on."""
    return _letter(
        to,
        "Confirm your new address",
        "An account at Playhead is to have this address. To confirm it, follow the link:\n\n"
        f"{_link(link_base, 'confirm-email', token)}\n\n"
        "If it is not yours, do nothing: the account keeps its address.",
    )


def address_taken(to: str) -> Letter:
    """An account was to have this address, which has an account of its own."""
    return _letter(
        to,
        "You have an account",
        "Somebody, you we hope, asked for an account at Playhead to have this address. It has an account of its own, "
        "so nothing was changed.",
    )


def email_changed(to: str) -> Letter:
    """To the address that an account had."""
    return _letter(
        to,
        "Your account has another address",
        "Your account at Playhead has another address now, and mail about it goes there. If it was not you who "
        "changed it, write to us at once.",
    )


def password_changed(to: str) -> Letter:
    """To whoever has the account, in case that it was somebody else."""
    return _letter(
        to,
        "Your password was changed",
        "The password of your account at Playhead was changed, and every other device was signed out. If it was not "
        "you, ask for another password at once.",
    )


def withdrawn(to: str) -> Letter:
    """The last letter."""
    return _letter(
        to,
        "Your account is closed",
        "Your account at Playhead is closed, and what we knew of you is erased, this address too.",
    )


def _letter(to: str, subject: str, text: str) -> Letter:
    return Letter(to=to, subject=subject, text=text + SIGNATURE)


def _link(base: str, page: str, token: str) -> str:
    # After the #, so that it is in no server's log and in no Referer.
    return f"{base}/{page}#token={token}\n\n{token}"
