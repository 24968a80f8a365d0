# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""What answers on a URL and a port, given some time to do so."""

import hashlib
import http.client
import socket
import time
import urllib.parse

TIMEOUT = 10
LARGEST_BODY = 64 << 20


def answer(spec):
    """Status and digest of what a URL answers; redirects aren't followed."""
    parts = urllib.parse.urlsplit(spec["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return {"error": "not an http address"}
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        link = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        try:
            path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            body = spec.get("body") or None
            headers = {"User-Agent": "otapgate"}
            if spec.get("content_type"):
                headers["Content-Type"] = spec["content_type"]
            link.request(
                spec.get("method", "GET"), path, body=body and body.encode(), headers=headers
            )
            reply = link.getresponse()
            said = {"status": reply.status}
            if spec.get("compare", "status") == "body":
                said["sha256"] = hashlib.sha256(reply.read(LARGEST_BODY)).hexdigest()
            return said
        finally:
            link.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"status": 0, "why": type(error).__name__}


def port_open(number):
    try:
        socket.create_connection(("127.0.0.1", int(number)), timeout=3).close()
    except (OSError, ValueError, OverflowError):
        return "closed"
    return "open"


def settled(look, expected, until):
    """Look again until it is as expected or time is up: services take a moment."""
    while True:
        seen = look()
        if expected is None or time.monotonic() >= until:
            return seen
        keys = (
            set(expected) & {"status", "sha256", "active", "sub"}
            if isinstance(expected, dict)
            else None
        )
        if keys is None and seen == expected:
            return seen
        if keys is not None and all(seen.get(key) == expected[key] for key in keys):
            return seen
        time.sleep(0.25)
