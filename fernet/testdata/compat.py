#!/usr/bin/env python3
"""What python3-cryptography, and the Django libraries built on it, make of keys and tokens.

Reads a JSON list of requests from standard input, each with an "op", and writes the list of answers:
base64url text, a list of them, or null where the token is refused.
"""

import base64
import json
import sys

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

import vectors


def fernet(keys):
    return Fernet(keys[0]) if len(keys) == 1 else MultiFernet([Fernet(k) for k in keys])


def encrypt(keys, data):
    return fernet(keys).encrypt(base64.urlsafe_b64decode(data)).decode()


def decrypt(keys, token, ttl=None):
    return vectors.text(fernet(keys).decrypt(token.encode(), ttl))


def rotate(keys, token):
    return MultiFernet([Fernet(k) for k in keys]).rotate(token.encode()).decode()


def django_fernet_fields(keys):
    """The keys of django-fernet-fields' hkdf.py."""
    return [
        vectors.text(HKDF(
            algorithm=hashes.SHA256(), length=32, salt=b"django-fernet-fields-hkdf-salt",
            info=b"django-fernet-fields", backend=default_backend(),
        ).derive(k.encode()))
        for k in keys
    ]


def django_fernet_encrypted_fields(secret_keys, salt_keys):
    """The keys of django-fernet-encrypted-fields' EncryptedFieldMixin."""
    return [
        vectors.text(PBKDF2HMAC(
            algorithm=hashes.SHA256(), length=32, salt=salt.encode(), iterations=100_000,
            backend=default_backend(),
        ).derive(secret.encode()))
        for secret in secret_keys
        for salt in salt_keys
    ]


def column(key, label):
    """The keys of a column as a Fernet key."""
    sign, encrypt, _ = vectors.column_keys(base64.urlsafe_b64decode(key), label)
    return [vectors.text(sign + encrypt)]


OPS = {f.__name__: f for f in (
    encrypt, decrypt, rotate, django_fernet_fields, django_fernet_encrypted_fields, column)}


def answer(request):
    op = OPS[request.pop("op")]
    try:
        return op(**request)
    except InvalidToken:
        return None


json.dump([answer(r) for r in json.load(sys.stdin)], sys.stdout)
