#!/usr/bin/env python3
"""The small SMTP servers of the mail lab, each with a behaviour of its own.

    servers.py CERTIFICATES DELIVERIES NAME=BEHAVIOUR[,BEHAVIOUR...]@ADDRESS ...

CERTIFICATES is a directory with NAME.pem and NAME.key for each `cert:NAME`. Every message that a server took, or refused
only after its end, is a line of JSON in the file DELIVERIES. Prints "listening" when all servers accept connections.

Behaviours: cert:NAME (offers STARTTLS), tls12 (nothing newer), grey (refuses each client's first recipient for the
moment), refuse-connect, refuse-mail, refuse-rcpt, refuse-data, refuse-content, tarpit (a second and a half for each
answer), reset-greeting, reset-ehlo, reset-mail (RST after the greeting, EHLO or MAIL), silent (never greets), chunking,
auth, no-pipelining, long-greeting (a greeting of several lines).
"""

import json
import socket
import ssl
import struct
import sys
import threading
import time

CERTIFICATES, DELIVERIES = sys.argv[1:3]
deliveries = open(DELIVERIES, "a", buffering=1)
seen_by_greylist = {}


class Closed(Exception):
    pass


class Session:
    def __init__(self, connection, client, server, behaviours, context):
        self.socket = connection
        self.client = client
        self.server = server
        self.behaviours = behaviours
        self.context = context
        self.buffer = b""
        self.encrypted = False

    def has(self, behaviour):
        return behaviour in self.behaviours

    def say(self, text):
        if self.has("tarpit"):
            time.sleep(1.5)
        self.socket.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def exactly(self, size):
        while len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed

    def message(self, size, taken):
        line = {"server": self.server, "client": self.client, "bytes": size, "taken": taken, "time": time.time()}
        deliveries.write(json.dumps(line) + "\n")

    def content(self):
        lines = []
        while True:
            line = self.line()
            if line == ".":
                return sum(len(each) + 2 for each in lines)
            lines.append(line)

    def extensions(self):
        names = [f"{self.server}.example.net at your service"]
        if not self.has("no-pipelining"):
            names.append("PIPELINING")
        names.append("SIZE 52428800")
        if self.context and not self.encrypted:
            names.append("STARTTLS")
        names.append("8BITMIME")
        if self.has("auth"):
            names.append("AUTH PLAIN LOGIN")
        if self.has("chunking"):
            names.append("CHUNKING")
        return "\n".join(f"250-{name}" for name in names[:-1]) + f"\n250 {names[-1]}"

    def recipient(self):
        if self.has("grey"):
            first = seen_by_greylist.setdefault((self.server, self.client), time.time())
            if time.time() - first < 2.5:
                return "451 4.7.1 Greylisted, see https://postmaster.example.net/greylisting"
        if self.has("refuse-rcpt"):
            return "550 5.1.1 User unknown in virtual mailbox table"
        return "250 2.1.5 Ok"

    def serve(self):
        if self.has("silent"):
            while True:
                self.fill()
        if self.has("refuse-connect"):
            self.say("554 5.7.1 Your address is listed by zen.example.org")
            raise Closed
        if self.has("long-greeting"):
            notice = "\n".join(f"220-We do not authorise the use of this system for unsolicited mail, rule {n}." for n in range(6))
            self.say(f"{notice}\n220 {self.server}.example.net ESMTP ready")
        else:
            self.say(f"220 {self.server}.example.net ESMTP ready")
        if self.has("reset-greeting"):
            self.reset()
        accepted = 0
        chunks = 0
        while True:
            line = self.line()
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb in ("EHLO", "HELO"):
                self.say(self.extensions() if verb == "EHLO" else f"250 {self.server}.example.net")
                if self.has("reset-ehlo"):
                    self.reset()
            elif verb == "STARTTLS" and self.context:
                self.say("220 2.0.0 Ready to start TLS")
                self.socket = self.context.wrap_socket(self.socket, server_side=True)
                self.encrypted = True
                self.buffer = b""
            elif verb == "MAIL":
                if self.has("reset-mail"):
                    self.reset()
                accepted = chunks = 0
                self.say("550 5.7.1 Sender refused" if self.has("refuse-mail") else "250 2.1.0 Ok")
            elif verb == "RCPT":
                answer = self.recipient()
                accepted += answer.startswith("2")
                self.say(answer)
            elif verb == "DATA":
                if accepted == 0:
                    self.say("503 5.5.1 Need RCPT")
                elif self.has("refuse-data"):
                    self.say("554 5.7.1 No mail from you")
                else:
                    self.say("354 End data with <CR><LF>.<CR><LF>")
                    size = self.content()
                    self.message(size, not self.has("refuse-content"))
                    self.say("554 5.7.1 Message content refused" if self.has("refuse-content") else "250 2.0.0 Ok: queued as 4WKX")
            elif verb == "BDAT" and self.has("chunking"):
                size = int(line.split()[1])
                self.exactly(size)
                chunks += size
                if line.upper().endswith("LAST"):
                    self.message(chunks, True)
                self.say("250 2.0.0 Ok" if accepted else "503 5.5.1 Need RCPT")
            elif verb == "AUTH":
                self.authenticate(line)
            elif verb == "QUIT":
                self.say("221 2.0.0 Bye")
                raise Closed
            elif verb in ("NOOP", "RSET", "HELP"):
                self.say("250 2.0.0 Ok")
            elif verb in ("VRFY", "EXPN"):
                self.say("252 2.0.0 Send some mail, we will try")
            else:
                self.say("502 5.5.2 Command not recognized")

    def authenticate(self, line):
        if not self.has("auth"):
            self.say("503 5.5.1 Authentication not enabled")
            return
        mechanism = line.upper().split()[1:]
        questions = 2 if mechanism == ["LOGIN"] else 1 if len(mechanism) == 1 else 0
        for question in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6")[:questions]:
            self.say(question)
            self.line()
        self.say("535 5.7.8 Authentication credentials invalid")


def talk(connection, client, name, behaviours, context):
    session = Session(connection, client, name, behaviours, context)
    try:
        connection.settimeout(120)
        session.serve()
    except (Closed, OSError, ValueError):
        pass
    finally:
        if session.encrypted:
            try:
                session.socket.settimeout(2)
                session.socket.unwrap()
            except (OSError, ValueError):
                pass
        session.socket.close()


def accept(listener, name, behaviours, context):
    while True:
        connection, peer = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = peer[0].removeprefix("::ffff:")
        threading.Thread(target=talk, args=(connection, client, name, behaviours, context), daemon=True).start()


def main():
    for word in sys.argv[3:]:
        label, address = word.split("@")
        name, _, listed = label.partition("=")
        behaviours = set(filter(None, listed.split(",")))
        context = None
        for behaviour in behaviours:
            if behaviour.startswith("cert:"):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                file = f"{CERTIFICATES}/{behaviour[5:]}"
                context.load_cert_chain(f"{file}.pem", f"{file}.key")
                if "tls12" in behaviours:
                    context.maximum_version = ssl.TLSVersion.TLSv1_2
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 25))
        listener.listen(128)
        threading.Thread(target=accept, args=(listener, name, behaviours, context), daemon=True).start()
    print("listening", flush=True)
    threading.Event().wait()


main()
