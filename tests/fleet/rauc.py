"""A stand-in for RAUC's D-Bus service, de.pengutronix.rauc.Installer.

It reads a bundle as RAUC does, a local one from its file and a remote one with the headers that it was
given, and refuses every bundle but the one that was signed. Its installation ends when the test lets it.
"""

import asyncio
import threading
import urllib.request

from dbus_fast.aio import MessageBus
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_property, method, signal


class Rauc(ServiceInterface):
    """The service, in a thread of its own."""

    def __init__(self, address):
        super().__init__("de.pengutronix.rauc.Installer")
        self.signed = None
        # Sources of the installations begun, and their results.
        self.begun, self.ended = [], []
        self.may_end = threading.Event()
        self.may_end.set()
        self.operation, self.last_error, self.progress = "idle", "", [0, "", 0]
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.connect(address), self.loop).result(10)

    async def connect(self, address):
        self.bus = await MessageBus(bus_address=address).connect()
        self.bus.export("/", self)
        await self.bus.request_name("de.pengutronix.rauc")

    def close(self):
        self.loop.call_soon_threadsafe(self.bus.disconnect)

    @dbus_property(access=PropertyAccess.READ)
    def Operation(self) -> "s":
        return self.operation

    @dbus_property(access=PropertyAccess.READ)
    def LastError(self) -> "s":
        return self.last_error

    @dbus_property(access=PropertyAccess.READ)
    def Progress(self) -> "(isi)":
        return self.progress

    @signal()
    def Completed(self, result) -> "i":
        return result

    @method()
    def InstallBundle(self, source: "s", args: "a{sv}"):
        headers = args["http-headers"].value if "http-headers" in args else []
        self.begun.append(source)
        self.loop.create_task(self.install(source, headers))

    async def install(self, source, headers):
        self.operation = "installing"
        self.emit_properties_changed({"Operation": self.operation})
        self.progress = [50, "Copying image to rootfs.1", 1]
        self.emit_properties_changed({"Progress": self.progress})
        try:
            found = await self.loop.run_in_executor(None, read, source, headers)
            error = "" if found == self.signed else "signature verification failed"
        except Exception as failure:  # of the network, or of the file
            error = str(failure)
        await self.loop.run_in_executor(None, self.may_end.wait)
        self.operation, self.last_error = "idle", error
        self.ended.append(error)
        # One after the other, as RAUC does.
        self.emit_properties_changed({"LastError": error})
        self.emit_properties_changed({"Operation": self.operation})
        self.Completed(1 if error else 0)


def read(source, headers):
    """The bytes of a bundle."""
    if source.startswith("http"):
        request = urllib.request.Request(source, headers=dict(header.split(": ", 1) for header in headers))
        with urllib.request.urlopen(request) as answer:
            return answer.read()
    with open(source, "rb") as file:
        return file.read()
