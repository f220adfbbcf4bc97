#!/usr/bin/env python3
"""SMTP clients written by hand: what bots, checks and connection tests do, one behaviour a run.

    bot.py BEHAVIOUR ADDRESS [SIZE_OR_SECONDS]

All speak plain SMTP unless the name says tls. Mails are of SIZE bytes in all.
"""

import base64
import socket
import ssl
import struct
import sys
import time

HELO = "pc-17.example.org"


def message(size, seed=""):
    head = (
        f"From: Anna <anna@example.org>\r\nTo: bob@example.net\r\nSubject: offer {seed}\r\n"
        f"Date: Sat, 28 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{time.time_ns()}@example.org>\r\n\r\n"
    )
    line = "All work and no play makes a very dull day for everybody here.\r\n"
    body = line * (size // len(line) + 1)
    return (head + body)[: max(size, len(head)) - 2] + "\r\n"


class Peer:
    def __init__(self, address, keepalive=None, timeout=60, small_window=False):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if small_window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        if keepalive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect((address, 25))
        self.buffer = b""

    def answer(self):
        lines = []
        while True:
            while b"\n" not in self.buffer:
                data = self.socket.recv(65536)
                if not data:
                    raise SystemExit("closed")
                self.buffer += data
            line, self.buffer = self.buffer.split(b"\n", 1)
            lines.append(line)
            if line[3:4] != b"-":
                return int(line[:3])

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def ask(self, line):
        self.send(line + "\r\n")
        return self.answer()

    def starttls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        assert self.ask("STARTTLS") == 220
        self.socket = context.wrap_socket(self.socket, server_hostname="mx.example.net")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def greet(address, **options):
    peer = Peer(address, **options)
    peer.answer()
    return peer


def hello(address, **options):
    peer = greet(address, **options)
    peer.ask(f"EHLO {HELO}")
    return peer


def envelope(peer, recipients=1):
    peer.ask("MAIL FROM:<anna@example.org>")
    codes = [peer.ask(f"RCPT TO:<bob{n}@example.net>") for n in range(recipients)]
    return any(code < 300 for code in codes)


def deliver(peer, size, recipients=1):
    if envelope(peer, recipients) and peer.ask("DATA") == 354:
        peer.send(message(size) + ".\r\n")
        peer.answer()


def leave(peer):
    peer.ask("QUIT")
    peer.socket.close()


def everything(size, recipients=1):
    rcpts = "".join(f"RCPT TO:<bob{n}@example.net>\r\n" for n in range(recipients))
    return f"HELO {HELO}\r\nMAIL FROM:<anna@example.org>\r\n{rcpts}DATA\r\n{message(size)}.\r\nQUIT\r\n"


def drain(peer):
    try:
        while peer.socket.recv(65536):
            pass
    except OSError:
        pass
    peer.socket.close()


def run(behaviour, address, amount):
    if behaviour == "send":
        peer = hello(address)
        deliver(peer, amount)
        leave(peer)
    elif behaviour == "send-helo":
        peer = greet(address)
        peer.ask("HELO x")
        peer.ask("MAIL FROM:<>")
        peer.ask("RCPT TO:<a@example.net>")
        peer.ask("DATA")
        peer.send(message(amount) + ".\r\n")
        peer.answer()
        leave(peer)
    elif behaviour == "send-drop":
        # Many bots do not say QUIT.
        peer = hello(address)
        deliver(peer, amount)
        peer.socket.close()
    elif behaviour == "send-lines":
        # A write for each line of the message, as simple libraries do.
        peer = hello(address)
        if envelope(peer) and peer.ask("DATA") == 354:
            for line in message(amount).splitlines(True):
                peer.send(line)
            peer.send(".\r\n")
            peer.answer()
        leave(peer)
    elif behaviour == "send-small-window":
        peer = hello(address, small_window=True)
        deliver(peer, amount)
        leave(peer)
    elif behaviour == "send-tls":
        peer = hello(address)
        peer.starttls()
        peer.ask(f"EHLO {HELO}")
        deliver(peer, amount)
        leave(peer)
    elif behaviour == "send-five":
        peer = hello(address)
        for _ in range(5):
            deliver(peer, amount)
        leave(peer)
    elif behaviour == "send-ten-recipients":
        peer = hello(address)
        deliver(peer, amount, recipients=10)
        leave(peer)
    elif behaviour == "send-slowly":
        # A pause before each command, and in the middle of the message.
        peer = greet(address)
        for line in (f"EHLO {HELO}", "MAIL FROM:<anna@example.org>", "RCPT TO:<bob@example.net>", "DATA"):
            time.sleep(1)
            peer.ask(line)
        text = message(amount)
        peer.send(text[:200])
        time.sleep(1)
        peer.send(text[200:] + ".\r\n")
        peer.answer()
        leave(peer)
    elif behaviour == "pipelined":
        peer = hello(address)
        peer.send("MAIL FROM:<anna@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n")
        for _ in range(3):
            peer.answer()
        peer.send(message(amount) + ".\r\nQUIT\r\n")
        drain(peer)
    elif behaviour == "blast":
        peer = Peer(address)
        peer.send(everything(amount))
        drain(peer)
    elif behaviour == "blast-after-greeting":
        peer = greet(address)
        peer.send(everything(amount))
        drain(peer)
    elif behaviour == "blast-ten-recipients":
        peer = greet(address)
        peer.send(everything(amount, 10))
        drain(peer)
    elif behaviour == "bdat":
        peer = hello(address)
        text = message(amount)
        peer.send(
            f"MAIL FROM:<anna@example.org>\r\nRCPT TO:<bob@example.net>\r\nBDAT {len(text)} LAST\r\n{text}QUIT\r\n"
        )
        drain(peer)
    elif behaviour == "send-reset":
        # Takes the answer to the message's end for read.
        peer = hello(address)
        if envelope(peer) and peer.ask("DATA") == 354:
            peer.send(message(amount) + ".\r\n")
            time.sleep(0.1)
        peer.reset()
    elif behaviour == "send-then-reset":
        peer = hello(address)
        deliver(peer, amount)
        peer.reset()
    # What no message comes of.
    elif behaviour == "connect":
        Peer(address).socket.close()
    elif behaviour == "connect-reset":
        Peer(address).reset()
    elif behaviour == "greeting":
        greet(address).socket.close()
    elif behaviour == "greeting-quit":
        leave(greet(address))
    elif behaviour == "hold":
        peer = greet(address)
        time.sleep(amount)
        peer.socket.close()
    elif behaviour == "keepalive":
        peer = greet(address, keepalive=1)
        time.sleep(amount)
        peer.socket.close()
    elif behaviour == "keepalive-ehlo":
        peer = hello(address, keepalive=1)
        time.sleep(amount)
        leave(peer)
    elif behaviour == "noop":
        peer = hello(address)
        for _ in range(amount):
            peer.ask("NOOP")
        leave(peer)
    elif behaviour == "noop-slowly":
        peer = hello(address)
        for _ in range(amount):
            peer.ask("NOOP")
            time.sleep(1)
        leave(peer)
    elif behaviour == "tls-noop":
        peer = hello(address)
        peer.starttls()
        peer.ask(f"EHLO {HELO}")
        for _ in range(amount):
            peer.ask("NOOP")
        leave(peer)
    elif behaviour == "tls-hold":
        peer = hello(address, keepalive=1)
        peer.starttls()
        time.sleep(amount)
        peer.socket.close()
    elif behaviour == "starttls-nothing":
        peer = hello(address)
        peer.ask("STARTTLS")
        peer.socket.close()
    elif behaviour == "auth-fails":
        peer = hello(address)
        for word in ("summer2026", "admin123", "changeme"):
            peer.ask("AUTH PLAIN " + base64.b64encode(f"\0anna@example.net\0{word}".encode()).decode())
        leave(peer)
    elif behaviour == "auth-login-fails":
        peer = hello(address)
        peer.ask("AUTH LOGIN")
        peer.ask(base64.b64encode(b"anna@example.net").decode())
        peer.ask(base64.b64encode(b"summer2026").decode())
        leave(peer)
    elif behaviour == "rcpt":
        peer = hello(address)
        envelope(peer)
        peer.ask("RSET")
        leave(peer)
    elif behaviour == "rcpt-many":
        peer = hello(address)
        envelope(peer, amount)
        leave(peer)
    elif behaviour == "vrfy":
        peer = hello(address)
        peer.ask("VRFY postmaster@example.net")
        leave(peer)
    elif behaviour == "garbage":
        peer = greet(address)
        peer.ask("GET / HTTP/1.0")
        peer.socket.close()
    elif behaviour == "http":
        # A web scanner that takes port 25 for something else.
        peer = Peer(address)
        peer.send("GET / HTTP/1.1\r\nHost: mx.example.net\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n")
        peer.answer()
        peer.socket.close()
    else:
        raise SystemExit(f"no behaviour {behaviour}")


run(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
