"""An upstream: answers with the method and the size of the body, after 100 ms for `/slow…`, with 16 MiB for `/large…`,
and echoes WebSockets.

usage: upstream.py PORT
"""

import asyncio
import base64
import hashlib
import signal
import sys


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if "websocket" in headers.get("upgrade", "").lower():
                return await echo(reader, writer, headers["sec-websocket-key"])
            size = await body(reader, headers)
            if target.startswith("/large"):
                await large(writer)
                continue
            if target.startswith("/slow"):
                await asyncio.sleep(0.1)
            text = f"{method} {size}\n".encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text))
            if method != "HEAD":
                writer.write(text)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def large(writer):
    """In pieces, so that whoever does not read costs nothing here."""
    piece = b"x" * (64 << 10)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * len(piece)))
    for _ in range(256):
        writer.write(piece)
        await writer.drain()


async def body(reader, headers):
    """Reads a body to its end, and brings its size."""
    if "chunked" not in headers.get("transfer-encoding", ""):
        left = size = int(headers.get("content-length") or 0)
        while left:
            piece = await reader.read(min(left, 1 << 16))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
        return size
    size = 0
    while piece := int(await reader.readline(), 16):
        await reader.readexactly(piece + 2)
        size += piece
    await reader.readline()
    return size


async def echo(reader, writer, key):
    """RFC 6455 §4.2.2; then what comes goes back as a server sends it, without a mask."""
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        first, length = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(length & 0x7F)))
        writer.write(bytes([first, len(payload)]) + payload)
        await writer.drain()
        if first & 0xF == 8:
            return


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    await server.wait_closed()


asyncio.run(main())
