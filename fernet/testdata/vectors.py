#!/usr/bin/env python3
"""Test vectors for the keys and tokens of columns, made without any Go.

    python3 vectors.py > vectors.json

HKDF is written out from RFC 5869 and the token from the Fernet spec, over hashlib, hmac and the AES
of python3-cryptography; each token is then read back by that package's own Fernet. No value depends
on the time or on chance.
"""

import base64
import hashlib
import hmac
import json

from cryptography.fernet import Fernet
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand(prk, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac_sha256(prk, block + info + bytes([i]))
        out += block
        i += 1
    return out[:length]


def extract(key):
    return hmac_sha256(b"pganon/v1", key)


def key_id(key):
    return expand(extract(key), b"keyid", 3)


def log_key(key):
    return expand(extract(key), b"log", 32)


def column_keys(key, label):
    """The keys that sign, encrypt, and make the IVs of deterministic tokens."""
    name = label.encode()
    b = expand(extract(key), b"column" + len(name).to_bytes(4, "big") + name + b"\0", 64)
    return b[:16], b[16:32], b[32:]


def token(sign, encrypt, time, iv, plaintext):
    pad = 16 - len(plaintext) % 16
    aes = Cipher(algorithms.AES(encrypt), modes.CBC(iv), default_backend()).encryptor()
    body = aes.update(plaintext + bytes([pad]) * pad) + aes.finalize()
    signed = b"\x80" + time + iv + body
    return base64.urlsafe_b64encode(signed + hmac_sha256(sign, signed))


def column_token(key, label, mode, plaintext, iv=None):
    sign, encrypt, iv_key = column_keys(key, label)
    if mode == "deterministic":
        iv = hmac_sha256(iv_key, plaintext)[:16]
    time = b"\0\0\0\0" + (b"\0" if mode == "deterministic" else b"\1") + key_id(key)
    made = token(sign, encrypt, time, iv, plaintext)
    assert Fernet(base64.urlsafe_b64encode(sign + encrypt)).decrypt(made) == plaintext
    assert made.startswith(b"gAAAAAAA" if mode == "deterministic" else b"gAAAAAAB")
    return made


def text(b):
    return base64.urlsafe_b64encode(b).decode()


def keys_with_one_id():
    """The first two of a fixed sequence of keys whose ids are the same."""
    seen, i = {}, 0
    while True:
        key = hashlib.sha256(b"key %d" % i).digest()
        other = seen.setdefault(key_id(key), key)
        if other != key:
            return [text(other), text(key)]
        i += 1


def main():
    keys = [bytes(range(32)), hashlib.sha256(b"pganon").digest(), b"\xff" * 32]
    labels = ["app.users.email", "app.users.emai", "a", "app.Größe.日本", 'x"\\\0.y', "l" * 300]
    plaintexts = [
        b"", b"0", b"false", b"alice@example.org", b"exactly 16 bytes", "Grüße ✓".encode(),
        bytes(range(256)), b"\0" * 31, b"\x10" * 16, b"x" * 4096,
    ]
    columns = []
    for key in keys:
        for label in labels:
            sign, encrypt, iv_key = column_keys(key, label)
            tokens = []
            for i, plaintext in enumerate(plaintexts if label == labels[0] else plaintexts[:4]):
                iv = hashlib.sha256(b"iv %d" % i).digest()[:16]
                tokens.append({
                    "plaintext": text(plaintext),
                    "deterministic": column_token(key, label, "deterministic", plaintext).decode(),
                    "random": column_token(key, label, "random", plaintext, iv).decode(),
                    "random_iv": text(iv),
                })
            columns.append({
                "key": text(key),
                "label": label,
                "sign_encrypt": text(sign + encrypt),
                "iv_key": text(iv_key),
                "tokens": tokens,
            })
    print(json.dumps({
        "keys": [{
            "key": text(k),
            "id": text(key_id(k)),
            "log_key": text(log_key(k)),
        } for k in keys],
        "keys_with_one_id": keys_with_one_id(),
        "columns": columns,
    }, indent=1))


if __name__ == "__main__":
    main()
