#!/usr/bin/env python3
"""Plays recorded TCP sessions again as new ones, many times, on two interfaces: for exporters that sample.

    replay-sessions.py PCAP CLIENT_SIDE SERVER_SIDE SESSIONS SECONDS SEED [CLIENT...]

Each client of the capture (or those named) holds SESSIONS sessions within SECONDS, at random times, drawn from its recorded
ones; each has a client port of its own. What the client sent leaves by CLIENT_SIDE, what servers sent by SERVER_SIDE, at
the distances of the recording. Checksums are not mended: exporters do not look at them. Prints "ready", then
"sent N packets, late by at most M ms".
"""

import heapq
import random
import socket
import struct
import sys
import time


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 24
    while at + 16 <= len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
        yield seconds + micros / 1e6, bytearray(data[at + 16 : at + 16 + length])
        at += 16 + length


def sessions_by_client(path):
    """[(seconds since the first packet, from the client, offset of the client's port, frame), ...] of each session."""
    clients = {}
    open_sessions = {}
    for when, frame in read(path):
        v6 = frame[12:14] == b"\x86\xdd"
        tcp = 54 if v6 else 14 + (frame[14] & 15) * 4
        source, destination = (frame[22:38], frame[38:54]) if v6 else (frame[26:30], frame[30:34])
        ports = struct.unpack_from(">HH", frame, tcp)
        forward = ports[1] == 25
        client = bytes(source if forward else destination)
        key = (client, bytes(destination if forward else source), ports[0 if forward else 1])
        if forward and frame[tcp + 13] & 0x12 == 0x02:
            previous = open_sessions.get(key)
            # A SYN that is sent again opens nothing.
            if previous is None or len(previous[1]) > 2:
                session = (when, [])
                open_sessions[key] = session
                clients.setdefault(client, []).append(session[1])
        if key not in open_sessions:
            continue
        start, packets = open_sessions[key]
        packets.append((when - start, forward, tcp + (0 if forward else 2), frame))
    return clients


def main():
    path, client_side, server_side = sys.argv[1:4]
    count, seconds, seed = int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
    named = {socket.inet_pton(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in sys.argv[7:]}
    clients = sessions_by_client(path)
    chance = random.Random(seed)
    starts = []
    for number, (client, recorded) in enumerate(sorted(clients.items())):
        if named and client not in named:
            continue
        for n in range(count):
            starts.append((chance.uniform(0, seconds), number, 20000 + (n * 7 + number) % 45000, chance.choice(recorded)))
    starts.sort(key=lambda each: each[:3])
    sides = {}
    for forward, name in ((True, client_side), (False, server_side)):
        sides[forward] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sides[forward].bind((name, 0))
    print("ready", flush=True)
    begin = time.monotonic() + 0.5
    queue = []
    sent = late = order = 0
    upcoming = iter(starts)
    following = next(upcoming, None)
    while following or queue:
        if following and (not queue or following[0] <= queue[0][0]):
            start, _, port, packets = following
            heapq.heappush(queue, (start, order, start, port, packets, 0))
            order += 1
            following = next(upcoming, None)
            continue
        when, _, start, port, packets, index = heapq.heappop(queue)
        wait = begin + when - time.monotonic()
        if wait > 0.001:
            time.sleep(wait)
        else:
            late = max(late, -wait)
        _, forward, offset, frame = packets[index]
        struct.pack_into(">H", frame, offset, port)
        try:
            sides[forward].send(frame)
        except OSError:
            time.sleep(0.005)
        sent += 1
        if index + 1 < len(packets):
            order += 1
            heapq.heappush(queue, (start + packets[index + 1][0], order, start, port, packets, index + 1))
    print(f"sent {sent} packets, late by at most {late * 1000:.0f} ms", flush=True)


main()
