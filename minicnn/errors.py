"""The one exception for a user's mistake, and how a command ends on it."""

from __future__ import annotations

import argparse
import errno
import functools
import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """Something the user can put right: its text says what was wrong, where, and what would be.

    Library code raises it; a command prints it as one line on stderr and exits with status 2.
    """


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are a UserError, one line, instead of the usage text."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} ({self.prog} --help lists what there is)")


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap a command's ``main``: a mistake ends in one line and status 2, not in a traceback.

    A full disk or a folder that may not be written is the user's to mend as well, so those
    OSErrors end the same way; every other exception is a bug of ours and keeps its traceback.
    Ctrl-C outside the places that handle it exits with the shell's 130.
    """

    @functools.wraps(main)
    def wrapped(*args: object, **kwargs: object) -> int:
        try:
            return main(*args, **kwargs)
        except UserError as mistake:
            text = " ".join(str(mistake).split())
        except OSError as failure:
            known = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
            if failure.errno not in known:
                raise
            where = f" at {failure.filename}" if failure.filename else ""
            text = f"{failure.strerror}{where}: free some space or name another folder"
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            return 130
        print(f"error: {text}", file=sys.stderr)
        return 2

    return wrapped
