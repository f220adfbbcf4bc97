#!/usr/bin/env python3
"""smtplib, pyOpenSSL and aiosmtplib as clients.

    library.py smtplib|smtplib-tls|aiosmtplib|aiosmtplib-tls|pyopenssl ADDRESS ACTION [SIZE]

Actions: connect, ehlo, noop, verify (RCPT, then RSET), send, send-five, recipients (ten of them).
`pyopenssl` only checks the certificate, with the OpenSSL that the wheel of `cryptography` brings along: a newer one.
"""

import asyncio
import smtplib
import socket
import ssl
import sys
from email.message import EmailMessage


def message(size):
    mail = EmailMessage()
    mail["From"] = "anna@example.org"
    mail["To"] = "bob@example.net"
    mail["Subject"] = "Report"
    line = "All work and no play makes a very dull day for everybody here.\n"
    body = line * (size // len(line) + 1)
    mail.set_content(body[: max(size - 220, 20)] + "\n")
    return mail


def context():
    lax = ssl.create_default_context()
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    return lax


def with_smtplib(address, action, size, tls):
    with smtplib.SMTP(address, 25, local_hostname="pc-17.example.org", timeout=60) as smtp:
        if action == "connect":
            return
        smtp.ehlo()
        if tls:
            smtp.starttls(context=context())
            smtp.ehlo()
        if action == "noop":
            smtp.noop()
        elif action == "verify":
            smtp.mail("anna@example.org")
            smtp.rcpt("bob@example.net")
            smtp.rset()
        elif action.startswith("send"):
            for _ in range(5 if action == "send-five" else 1):
                smtp.send_message(message(size))
        elif action == "recipients":
            smtp.sendmail("anna@example.org", [f"bob{n}@example.net" for n in range(10)], message(size).as_bytes())


async def with_aiosmtplib(address, action, size, tls):
    import aiosmtplib

    smtp = aiosmtplib.SMTP(
        hostname=address, port=25, start_tls=tls, tls_context=context() if tls else None, local_hostname="pc-17.example.org"
    )
    async with smtp:
        if action == "noop":
            await smtp.noop()
        elif action == "send":
            await smtp.send_message(message(size))


def with_pyopenssl(address):
    from OpenSSL import SSL

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    peer = socket.socket(family)
    peer.connect((address, 25))
    file = peer.makefile("rb")
    for command in (b"", b"EHLO pc-17.example.org\r\n"):
        peer.sendall(command)
        while file.readline()[3:4] == b"-":
            pass
    peer.sendall(b"STARTTLS\r\n")
    file.readline()
    tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), peer)
    tls.set_tlsext_host_name(b"mx.example.net")
    tls.set_connect_state()
    tls.do_handshake()
    print(tls.get_peer_certificate().get_subject())
    tls.send(b"QUIT\r\n")
    tls.recv(100)
    tls.shutdown()
    peer.close()


program, address, action = sys.argv[1:4]
size = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
try:
    if program == "pyopenssl":
        with_pyopenssl(address)
    elif program.startswith("smtplib"):
        with_smtplib(address, action, size, program.endswith("tls"))
    else:
        asyncio.run(with_aiosmtplib(address, action, size, program.endswith("tls")))
except smtplib.SMTPException as error:
    print(error)
