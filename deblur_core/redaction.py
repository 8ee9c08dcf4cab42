"""Takes secrets out of a text that people, logs or stores will see: what this process was given as a secret in its
environment, and user name and password in any address. The last line of defence: no error is meant to hold one.

It knows names of environment variables and the form of a URL.
"""

import os
import re

HIDDEN = "***"

_SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH_STRING|API_KEY|ACCESS_KEY)")
_PLACE_NAME = re.compile(r"_(FILE|PATH|URI|URL|DIR)$")
_SHORTEST = 6
"""Shorter values are words of any text (`none`, `basic`)."""
# RFC 3986: what stands between // and @. A path may hold an @ as well, behind a slash.
_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/@\s'\"]+@")


def redacted(text: str) -> str:
    """`text` without secrets; with `***` in their place."""
    text = _USER_AND_PASSWORD.sub(f"{HIDDEN}@", text)
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


def _secrets() -> list[str]:
    """Longest first, since one may hold another."""
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name.upper()) and not _PLACE_NAME.search(name.upper())
    }
    return sorted(found, key=len, reverse=True)
