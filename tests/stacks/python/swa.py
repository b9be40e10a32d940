"""SOAP with Attachments by hand: multipart/related, made and taken apart. Standard library only."""

import re
import urllib.parse
import uuid


def make(root, attachments, changes=frozenset()):
    """(Content-Type, body) of the SOAP part and the (content-id, media type, bytes) after it, or before it."""
    boundary = "=_/?:+," + uuid.uuid4().hex if "odd-boundary" in changes else "python-" + uuid.uuid4().hex
    root_headers = "Content-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: binary\r\n"
    if "no-root-id" not in changes:
        root_headers += "Content-ID: <root@python>\r\n"
    parts = [root_headers.encode() + b"\r\n" + root]
    for content_id, media_type, octets in attachments:
        headers = f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
        parts.append(headers.encode() + octets)
    if "root-last" in changes:
        parts = parts[1:] + parts[:1]
    delimiter = b"--" + boundary.encode()
    body = b"\r\n".join(delimiter + b"\r\n" + part for part in parts) + b"\r\n" + delimiter + b"--"
    if "leading-crlf" in changes:
        body = b"\r\n" + body
    if "no-final-crlf" not in changes:
        body += b"\r\n"
    start = "" if "no-root-id" in changes else '; start="<root@python>"'
    kind = "Multipart/Related" if "odd-boundary" in changes else "multipart/related"
    return f'{kind}; type="text/xml"{start}; boundary="{boundary}"', body


def take_apart(content_type, body):
    """(root bytes, {content-id: bytes}): the root is the part that `start` names, else the first."""
    if not content_type.lower().startswith("multipart/related"):
        return body, {}
    parameter = lambda name: re.search(r';\s*%s=(?:"([^"]*)"|([^;\s]*))' % name, content_type, re.I)
    value = lambda name: (lambda found: (found.group(1) or found.group(2)) if found else None)(parameter(name))
    delimiter = b"\r\n--" + value("boundary").encode()
    pieces = (b"\r\n" + body).split(delimiter)
    if not pieces[-1].startswith(b"--"):
        raise ValueError("no closing delimiter")
    parts, first = {}, None
    for piece in pieces[1:-1]:
        head, _, octets = piece.partition(b"\r\n\r\n")
        named = re.search(rb"^content-id:\s*<(.*?)>\s*$", head.strip(b"\r\n"), re.I | re.M)
        name = named.group(1).decode() if named else ""
        first = name if first is None else first
        if name in parts:
            raise ValueError(f"two parts are called {name}")
        parts[name] = octets
    start = (value("start") or "").strip("<>")
    return parts.pop(start if start in parts else first), parts


def find(reference, parts):
    """The part that `cid:ID`, percent-encoded or not, or the bare ID names."""
    name = reference.removeprefix("cid:")
    return parts[name] if name in parts else parts[urllib.parse.unquote(name)]
