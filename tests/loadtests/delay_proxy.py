"""Starts the null server and stands before it, delaying what it says by a fixed time.

Bytes are delayed, not rationed: as many may be on their way as there are. The first argument is
the delay in seconds.
"""

import asyncio
import json
import signal
import sys


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float
) -> None:
    loop = asyncio.get_running_loop()
    while chunk := await reader.read(65_536):
        if delay_s:
            loop.call_later(delay_s, writer.write, chunk)
        else:
            writer.write(chunk)
    loop.call_later(delay_s, writer.close)


async def main(delay_s: float) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.nullserver", stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(json.loads(await server.stdout.readline())["url"].rstrip("/").rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            _forward(reader, upstream_writer, 0), _forward(upstream_reader, writer, delay_s)
        )

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(json.dumps({"url": f"ws://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/"}), flush=True)
    await stopped.wait()
    server.terminate()
    await server.wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
